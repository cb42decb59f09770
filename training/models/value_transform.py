"""Transform image values to those a network computes on: the same, or their logarithm.

Speckle multiplies, x = y·(1 + n); its logarithm adds, log x = log y + log(1 + n), with a strength that
does not depend on the brightness. A network against it takes and gives

    t = log(255·x + 1) / log 256,    x = (256^t − 1) / 255,    both in [0, 1]
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ...runtime.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

DOMAINS = ("linear", "log")
_LEVELS = 255.0
_LOG_LEVELS = math.log(256)


def to_domain(x: Tensor, domain: str) -> Tensor:
    """Convert values of an image to a domain.

    Args:
        x: float32 of any shape, in [0, 1]; "log" clips below 0.
        domain: "linear", which changes nothing, or "log".

    Raises:
        UserError: there is no such domain.
    """
    check_domain(domain)
    if domain == "linear":
        return x
    return (_LEVELS * x.clamp(min=0)).log1p() / _LOG_LEVELS


def from_domain(t: Tensor, domain: str) -> Tensor:
    """Convert values of a domain to those of an image: the inverse of `to_domain`.

    Args:
        t: float32 of any shape; values beyond [0, 1] give values beyond [0, 1].
        domain: "linear" or "log".

    Raises:
        UserError: there is no such domain.
    """
    check_domain(domain)
    if domain == "linear":
        return t
    return (t * _LOG_LEVELS).expm1() / _LEVELS


def check_domain(domain: str) -> None:
    """Raise UserError unless there is such a domain."""
    if domain not in DOMAINS:
        raise UserError(f"unknown domain '{domain}'; known: {', '.join(DOMAINS)}")
