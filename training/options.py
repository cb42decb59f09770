"""Command-line options declared as the fields of a dataclass: one declaration holds everything about one."""

from __future__ import annotations

import dataclasses
import inspect
import math
import operator
import types
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_args, get_type_hints

from ..runtime.errors import UserError

if TYPE_CHECKING:
    from typer import Context

_Function = TypeVar("_Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Option:
    """The command-line option that sets a field.

    Attributes:
        panel: heading in the help.
        help: one sentence; the bounds are appended.
        name: such as "--lr", of a switch "--on/--off"; None: from the name of the field.
        metavar: placeholder of the value in the help.
        choices: the values allowed.
        default_text: the default as the help shows it, if it is not the field's.
        minimum, maximum: inclusive bounds.
        above, below: exclusive bounds.
    """

    panel: str
    help: str
    name: str | None = None
    metavar: str | None = None
    choices: tuple[str, ...] = ()
    default_text: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    below: float | None = None

    @property
    def bounds(self) -> str:
        """Return the bounds in words, such as "at least 0, below 1"; "" without any."""
        return ", ".join(f"{word} {bound}" for word, bound, _ in self._bounds)

    def check(self, value: Any, name: str) -> None:
        """Raise UserError unless `value` is one of the choices, or finite and within the bounds."""
        if self.choices and value not in self.choices:
            raise UserError(f"{name} is '{value}'; it must be one of {', '.join(self.choices)}")
        if self.bounds and value is not None and not self._allows(value):
            raise UserError(f"{name} is {value}; it must be {self.bounds}")

    def _allows(self, value: float) -> bool:
        return math.isfinite(value) and all(is_within(value, bound) for _, bound, is_within in self._bounds)

    @property
    def _bounds(self) -> list[tuple[str, float, Callable[[float, float], bool]]]:
        """Return each bound in words, its value and its comparison."""
        bounds = (
            ("at least", self.minimum, operator.ge),
            ("above", self.above, operator.gt),
            ("at most", self.maximum, operator.le),
            ("below", self.below, operator.lt),
        )
        return [(word, bound, compare) for word, bound, compare in bounds if bound is not None]


def option(panel: str, help: str, *, default: Any = dataclasses.MISSING, **details: Any) -> Any:
    """Declare a dataclass field together with its `Option`."""
    return dataclasses.field(default=default, metadata={"option": Option(panel, help, **details)})


@cache
def options_of(config: type) -> dict[str, Option]:
    """Return the options of a dataclass by the names of their fields."""
    return {field.name: field.metadata["option"] for field in dataclasses.fields(config)}


def option_name(config: type, field: str) -> str:
    """Return the command-line option that sets a field; of a switch the positive form."""
    name = options_of(config)[field].name or "--" + field.replace("_", "-")
    return name.partition("/")[0]


def path_options(config: type) -> set[str]:
    """Return the options that take several paths."""
    hints = get_type_hints(config)
    return {option_name(config, field) for field in options_of(config) if hints[field] == tuple[str, ...]}


def with_options(config: type, default_texts: dict[str, str]) -> Callable[[_Function], _Function]:
    """Replace the `**options` of a typer command by the options of a dataclass.

    Args:
        config: the dataclass.
        default_texts: defaults as the help shows them, by field, where they are not the field's own.
    """

    def decorate(command: _Function) -> _Function:
        *own, _ = inspect.signature(command, eval_str=True).parameters.values()
        hints = get_type_hints(config)
        generated = [
            _parameter(field, hints[field.name], default_texts) for field in dataclasses.fields(config)
        ]
        parameters = [*own[:1], *generated, *own[1:]]
        keywords = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters]
        command.__signature__ = inspect.Signature(keywords)  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in keywords}
        return command

    return decorate


def given_values(context: Context, options: dict[str, Any]) -> dict[str, Any]:
    """Return the fields named on the command line, with their values; ranges and paths still as text."""
    return {
        field: value.value if isinstance(value, Enum) else value
        for field, value in options.items()
        if (source := context.get_parameter_source(field)) is not None and source.name == "COMMANDLINE"
    }


def _parameter(field: dataclasses.Field[Any], hint: Any, default_texts: dict[str, str]) -> inspect.Parameter:
    import typer

    declared: Option = field.metadata["option"]
    default_text = default_texts.get(field.name, declared.default_text)
    default = None if field.default in ((), dataclasses.MISSING) else field.default
    settings = typer.Option(
        *([declared.name] if declared.name else []),
        help=f"{declared.help} ({declared.bounds})" if declared.bounds else declared.help,
        metavar=declared.metavar,
        rich_help_panel=declared.panel,
        show_default=default_text or default is not None,
    )
    annotation: Any = _accepted_type(hint)
    if declared.choices:
        annotation = Enum(field.name, {choice: choice for choice in declared.choices})
        default = annotation(default)
    if default is None:
        annotation = annotation | None
    return inspect.Parameter(
        field.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[annotation, settings],
    )


def _accepted_type(hint: Any) -> Any:
    """Return the type that typer parses: lists for paths, text for a range."""
    if isinstance(hint, types.UnionType):
        (hint,) = (kind for kind in get_args(hint) if kind is not type(None))
    return {tuple[str, ...]: list[str], tuple[float, float]: str}.get(hint, hint)


def parse_range(text: str, name: str) -> tuple[float, float]:
    """Parse "0.5-2" as (0.5, 2.0), "1" as (1.0, 1.0).

    Args:
        name: the option, for the message.

    Raises:
        UserError: it is neither one number nor two.
    """
    low, _, high = text.partition("-")
    try:
        return float(low), float(high or low)
    except ValueError as error:
        raise UserError(f"{name} is '{text}'; it is a range LOW-HIGH, such as 0.5-2") from error
