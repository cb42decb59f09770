"""Run the commands: messages on standard error, one-line errors, exit statuses, `--version`."""

from __future__ import annotations

import contextlib
import functools
import inspect
import logging
import os
import sys
import traceback
from collections.abc import Callable
from itertools import pairwise
from typing import Annotated, Any

from n2b import __version__

from ..errors import N2BError, UserError, printable
from ..passwords import hide_passwords
from .output import finish_output, tolerate_any_output

Log = Callable[[str], object]  # receives a line for each step of a long work
INTERRUPTED = 130  # exit status that shells report for a command ended by Ctrl-C

# `--tile_overlap` is read as `--tile-overlap`
COMMAND_SETTINGS: dict[str, Any] = {
    "help_option_names": ["-h", "--help"],
    "token_normalize_func": lambda name: name.replace("_", "-"),
}


def run_command(command: Callable[..., Any], name: str) -> None:
    """Run one command line and end the process with its exit status.

    A user's mistake ends in one line and status 2, a fault of the machine in one line and status 1 (a full
    standard output too), Ctrl-C in status 130; `--debug` anywhere on the line shows the traceback as well.

    Args:
        command: a function with typer's annotations that returns the exit status (None: 0).
    """
    import typer

    app = typer.Typer(pretty_exceptions_enable=False)
    app.command(context_settings=COMMAND_SETTINGS)(_with_version(_past_typer(command), name))
    debug = "--debug" in sys.argv
    log_to_stderr()
    tolerate_any_output(name)
    try:
        _refuse_empty(sys.argv[1:])
        status = app(prog_name=name, standalone_mode=False)
    except N2BError as error:
        status = error.exit_status
        if not (isinstance(error, UserError) and _is_further_process()):
            _report(name, str(error), status, debug)
    except (KeyboardInterrupt, _CtrlC):
        status = _report(name, "interrupted", INTERRUPTED, debug)
    except MemoryError:
        status = _report(name, "out of memory; use smaller tiles or free memory", 1, debug)
    except typer.Abort:
        status = INTERRUPTED
    except Exception as error:
        usage = getattr(error, "format_message", None)  # click's own usage errors
        if usage is None:
            raise
        status = _report(name, f"{usage()} (see {name} --help)", getattr(error, "exit_code", 2), debug)
    is_printed = finish_output()
    sys.exit((status if isinstance(status, int) else 0) or (0 if is_printed else 1))


def _with_version(command: Callable[..., Any], name: str) -> Callable[..., Any]:
    """Add the option --version to a command."""
    import typer

    def show(is_given: bool) -> None:
        if is_given:
            print(f"{name} {__version__}")
            raise typer.Exit

    @functools.wraps(command)
    def run(*args: Any, version: bool, **options: Any) -> Any:  # noqa: ARG001, done once it is read
        return command(*args, **options)

    option = typer.Option("--version", callback=show, is_eager=True, help="Show the version and exit.")
    annotation = Annotated[bool, option]
    signature = inspect.signature(command, eval_str=True)
    parameter = inspect.Parameter(
        "version", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=annotation
    )
    run.__signature__ = signature.replace(parameters=[*signature.parameters.values(), parameter])  # type: ignore[attr-defined]
    run.__annotations__ = {**command.__annotations__, "version": annotation}
    return run


def _refuse_empty(arguments: list[str]) -> None:
    """Refuse an empty argument, as an unset shell variable leaves it: it would be the current folder."""
    words = [word for a in arguments for word in (a.split("=", 1) if a.startswith("--") else [a])]
    for before, word in pairwise(["", *words]):
        if not word.strip() and before != "--suffix":
            place = f"after {before}" if before.startswith("-") else "among the arguments"
            raise UserError(f"an empty name {place}; the current folder is named .")


def log_to_stderr() -> None:
    """Print what the packages of n2b log, from INFO on, one line each on standard error.

    The library itself only logs, to loggers below `n2b`; the program decides how to show it.
    """
    logger = logging.getLogger("n2b")
    if not any(isinstance(handler, _StandardError) for handler in logger.handlers):
        logger.addHandler(_StandardError())
    logger.setLevel(logging.INFO)


class _StandardError(logging.Handler):
    """Prints "warning: …", or the bare message of an INFO record."""

    def emit(self, record: logging.LogRecord) -> None:
        prefix = "warning: " if record.levelno >= logging.WARNING else ""
        try:
            line = f"{prefix}{printable(hide_passwords(record.getMessage()))}"
        except Exception as error:  # a message that does not fit its arguments
            line = f"{prefix}{record.msg} ({error})"
        print_to_stderr(line)


class _CtrlC(Exception):
    """KeyboardInterrupt in a form that typer lets pass; it would end that one in silence."""


def _past_typer(command: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(command)
    def run(*args: Any, **options: Any) -> Any:
        try:
            return command(*args, **options)
        except KeyboardInterrupt as error:
            raise _CtrlC from error

    return run


def _is_further_process() -> bool:
    """Return True in all processes of torchrun but the first, which make the same mistakes as that one."""
    return os.environ.get("RANK", "0") != "0"


def _report(name: str, message: str, status: int, debug: bool) -> int:
    if debug:
        print_to_stderr(hide_passwords(traceback.format_exc()))
    print_to_stderr(f"{name}: {hide_passwords(' '.join(message.split()))}")
    return status


def print_to_stderr(line: str) -> None:
    """Print a line, unless standard error is closed; `print` would then use standard output, or raise."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):
            print(line, file=sys.stderr, flush=True)
