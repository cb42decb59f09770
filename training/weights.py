"""Do the weights of a file fit a network, and if not, which do not?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from ..runtime.errors import in_short

NAMED = 3  # of each kind of difference, before the rest is only counted


def describe_differences(weights: Mapping[Any, Any], expected: Mapping[str, torch.Tensor]) -> str:
    """In words: how `weights` differ in names, types and shapes from those `expected`; "" when they fit.

    Such as "2 missing (last.weight, last.bias), 1 of another shape (up.0.weight: 3, not 96×144×3×3)".
    """
    present = {name: weights[name] for name in expected if name in weights}
    mistyped = {name: value for name, value in present.items() if not _same_type(value, expected[name])}
    misshapen = {
        name: value.shape
        for name, value in present.items()
        if name not in mistyped and value.shape != expected[name].shape
    }
    return ", ".join(
        filter(
            None,
            (
                _list("missing", [name for name in expected if name not in weights]),
                _list("unknown", [in_short(name) for name in weights if name not in expected]),
                _list(
                    "of another type",
                    [
                        f"{name}: {_type(value)}, not {_type(expected[name])}"
                        for name, value in mistyped.items()
                    ],
                ),
                _list(
                    "of another shape",
                    [
                        f"{name}: {_sizes(s)}, not {_sizes(expected[name].shape)}"
                        for name, s in misshapen.items()
                    ],
                ),
            ),
        )
    )


def _same_type(value: Any, expected: torch.Tensor) -> bool:
    return (
        isinstance(value, torch.Tensor)
        and (value.dtype, value.layout, value.device) == (expected.dtype, expected.layout, expected.device)
        and not value.is_quantized
    )


def _type(value: Any) -> str:
    if not isinstance(value, torch.Tensor):
        return type(value).__name__
    return str(value.dtype if value.layout == torch.strided else value.layout).removeprefix("torch.")


def _sizes(shape: torch.Size) -> str:
    return "×".join(map(str, shape)) or "one number"


def _list(kind: str, what: list[str]) -> str:
    more = f", and {len(what) - NAMED} more" if len(what) > NAMED else ""
    return f"{len(what)} {kind} ({', '.join(what[:NAMED])}{more})" if what else ""
