"""n2b-doctor: say what runs a model here, why the rest does not, and what to install."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated, Any

import typer

from ..system.console import run_command


def main() -> None:
    """Run the console script."""
    run_command(doctor, "n2b-doctor")


def doctor(
    model: Annotated[
        str | None,
        typer.Option(
            "-m", "--model", metavar="PATH", help="Model to try, as of n2b-infer; default: its default."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
    health: Annotated[
        bool,
        typer.Option("--health", help="Only open the model as n2b-infer does, for a health check: one line."),
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> int:
    """Report what is installed, which backends run a model here and why the others do not, and what to do.

    Every backend is tried in a process of its own, which takes some seconds each.

    Exit status: 0 if a backend runs the model, else 1.
    """
    from .diagnose import diagnose
    from .text import to_line
    from .trials import try_auto

    if health:
        trial = try_auto(model)
        print(to_line(trial))
        return 0 if trial.opens else 1
    facts = diagnose(model)
    print(json.dumps(_plain(facts), ensure_ascii=False, indent=2) if as_json else _text(facts))
    return 0 if facts.opens else 1


def _plain(facts: Any) -> dict[str, Any]:
    return dataclasses.asdict(facts)


def _text(facts: Any) -> str:
    from .text import to_text

    return to_text(facts)
