"""Command-line options declared as the fields of a dataclass: one declaration holds everything about one."""

from __future__ import annotations

import dataclasses
import inspect
import math
import operator
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

from ..errors import UserError, short_repr, shorten

if TYPE_CHECKING:
    from typer import Context

_Config = TypeVar("_Config")
_Function = TypeVar("_Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Option:
    """The command-line option that sets a field."""

    panel: str | None  # heading in the help; None: that of --help itself
    help: str  # one sentence; the bounds are appended
    name: str | None = None  # such as "--lr", of a switch "--on/--off"; None: from the name of the field
    short: str | None = None  # such as "-o"
    metavar: str | None = None  # placeholder of the value in the help
    choices: tuple[str, ...] = ()  # the values allowed, where the type of the field does not say so
    default_text: str | None = None  # the default as the help shows it, if it is not the field's
    # returns the value for the text and the option's name, or raises UserError; None: by the type
    parse: Callable[[str, str], Any] | None = None
    minimum: float | None = None  # inclusive bounds, this and the next
    maximum: float | None = None
    above: float | None = None  # exclusive bounds, this and the next
    below: float | None = None

    @property
    def bounds(self) -> str:
        """Return the bounds in words, such as "at least 0, below 1"; "" without any."""
        return ", ".join(f"{word} {bound}" for word, bound, _ in self._bounds)

    def check(self, value: Any, name: str) -> None:
        """Raise UserError unless `value` is one of the choices, or finite and within the bounds."""
        if self.choices and value not in self.choices:
            raise UserError(f"{name} is '{shorten(value, 60)}'; it must be one of {', '.join(self.choices)}")
        if self.bounds and value is not None and not self._allows(value):
            raise UserError(f"{name} is {shorten(value, 60)}; it must be {self.bounds}")

    def _allows(self, value: float) -> bool:
        is_finite = isinstance(value, int) or math.isfinite(value)  # whole numbers may be too large for it
        return is_finite and all(is_within(value, bound) for _, bound, is_within in self._bounds)

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


def option(panel: str | None, default: Any, help: str, **details: Any) -> Any:
    """Declare a dataclass field together with its `Option`; a `default` of MISSING: it has to be given."""
    return dataclasses.field(default=default, metadata={"option": Option(panel, help, **details)})


@cache
def options_of(config: type) -> dict[str, Option]:
    """Return the options of a dataclass by the names of their fields; those of nested ones in their place."""
    options: dict[str, Option] = {}
    for field in dataclasses.fields(config):
        if "option" in field.metadata:
            options[field.name] = field.metadata["option"]
        elif isinstance(field.default_factory, type):
            options |= options_of(field.default_factory)
    return options


def option_name(config: type, field: str) -> str:
    """Return the command-line option that sets a field; of a switch the positive form."""
    name = options_of(config)[field].name or "--" + field.replace("_", "-")
    return name.partition("/")[0]


def path_options(config: type) -> set[str]:
    """Return the options that take several paths."""
    hints = get_type_hints(config)
    return {option_name(config, field) for field in options_of(config) if hints[field] == tuple[str, ...]}


def with_options(
    *configs: type, default_texts: Mapping[str, str] | None = None
) -> Callable[[_Function], _Function]:
    """Replace the `**options` of a typer command by the options of dataclasses, after its first parameter.

    Args:
        configs: the dataclasses; no two have fields of one name.
        default_texts: defaults as the help shows them, by field, where they are not the field's own.
    """

    def decorate(command: _Function) -> _Function:
        *own, _ = inspect.signature(command, eval_str=True).parameters.values()
        generated = [one for config in configs for one in _parameters(config, default_texts or {})]
        parameters = [*own[:1], *generated, *own[1:]]
        keywords = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters]
        command.__signature__ = inspect.Signature(keywords)  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in keywords}
        return command

    return decorate


def given_values(config: type, context: Context, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields named on the command line, with their values, parsed but not checked."""
    return {
        field: _parsed(config, field, value)
        for field, value in options.items()
        if field in options_of(config)
        and (source := context.get_parameter_source(field)) is not None
        and source.name == "COMMANDLINE"
    }


def from_options(config: type[_Config], values: Mapping[str, Any]) -> _Config:
    """Return a dataclass with the values of its options, parsed and checked.

    Raises:
        UserError: a value cannot be parsed, or is out of its bounds.
    """
    fields: dict[str, Any] = {}
    for field in dataclasses.fields(config):  # type: ignore[arg-type]
        if "option" in field.metadata:
            value = _parsed(config, field.name, values[field.name])
            fields[field.name] = value = tuple(value or ()) if field.default == () else value
            field.metadata["option"].check(value, option_name(config, field.name))
        elif isinstance(field.default_factory, type):
            fields[field.name] = from_options(field.default_factory, values)
    return config(**fields)


def check_types(config: type, values: Mapping[str, Any]) -> None:
    """Raise TypeError unless values from JSON have the types of a dataclass's fields; lists are tuples."""
    hints = get_type_hints(config)
    for name, value in values.items():
        if not _is_of(value, hints[name]):
            raise TypeError(f"{name} is {short_repr(value)}")


def _is_of(value: Any, hint: Any) -> bool:
    if isinstance(hint, types.UnionType):
        return any(_is_of(value, kind) for kind in get_args(hint))
    if get_origin(hint) is tuple:
        kind, last = get_args(hint)
        is_tuple = isinstance(value, list | tuple) and (last is ... or len(value) == 2)
        return is_tuple and all(_is_of(one, kind) for one in value)
    if hint is float and type(value) is int:
        return abs(value) < 1 << 63
    return type(value) is hint


def changed_options(config: Any) -> dict[str, Any]:
    """Return the values of a dataclass that are not the defaults, by their options."""
    fields = [field for field in dataclasses.fields(config) if "option" in field.metadata]
    values = {field.name: getattr(config, field.name) for field in fields}
    return {
        option_name(type(config), field.name): values[field.name]
        for field in fields
        if values[field.name] != field.default
    }


def _parsed(config: type, field: str, value: Any) -> Any:
    parse = options_of(config)[field].parse
    if parse is not None and value is not None:
        return parse(value, option_name(config, field))
    return value.value if isinstance(value, Enum) else value


def _parameters(config: type, default_texts: Mapping[str, str]) -> Iterator[inspect.Parameter]:
    hints = get_type_hints(config)
    for field in dataclasses.fields(config):
        if "option" in field.metadata:
            yield _parameter(field, hints[field.name], default_texts.get(field.name))
        elif isinstance(field.default_factory, type):
            yield from _parameters(field.default_factory, default_texts)


def _parameter(field: dataclasses.Field[Any], hint: Any, default_text: str | None) -> inspect.Parameter:
    import typer

    declared: Option = field.metadata["option"]
    default_text = default_text or declared.default_text
    default = None if field.default in ((), dataclasses.MISSING) else field.default
    name = declared.name or "--" + field.name.replace("_", "-") if declared.short else declared.name
    settings = typer.Option(
        *filter(None, (name, declared.short)),
        help=f"{declared.help} ({declared.bounds})" if declared.bounds else declared.help,
        metavar=declared.metavar,
        rich_help_panel=declared.panel,
        show_default=default_text or default is not None,
    )
    annotation: Any = str if declared.parse else _accepted_type(hint)
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
    """Return the type that typer parses: lists for paths, text where a field takes several types."""
    if isinstance(hint, types.UnionType):
        kinds = [kind for kind in get_args(hint) if kind is not type(None)]
        hint = kinds[0] if len(kinds) == 1 else str
    return list[str] if hint == tuple[str, ...] else hint


def parse_range(text: str, name: str) -> tuple[float, float]:
    """Parse "0.5-2" as (0.5, 2.0), "1" as (1.0, 1.0).

    Raises:
        UserError: it is neither one number nor two.
    """
    low, _, high = text.partition("-")
    try:
        return float(low), float(high or low)
    except ValueError as error:
        raise UserError(f"{name} is '{text}'; it is a range LOW-HIGH, such as 0.5-2") from error
