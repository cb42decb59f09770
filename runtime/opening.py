"""Open the denoiser of a command line, and say what is used."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .console import warn

if TYPE_CHECKING:
    from .denoiser import Denoiser


@contextmanager
def open_denoiser(options: dict[str, Any]) -> Iterator[Denoiser]:
    """The denoiser; what it does otherwise than asked, now or later, and what it uses go to standard error.

    Args:
        options: the arguments of Denoiser.
    """
    from .denoiser import Denoiser
    from .report import model_line

    with warnings.catch_warnings(record=True) as differences:
        warnings.simplefilter("always", RuntimeWarning)
        denoiser = Denoiser(**options)
    for difference in differences:
        warn(str(difference.message))
    with denoiser, warnings.catch_warnings():  # which puts back what is changed here
        warnings.simplefilter("always", RuntimeWarning)
        warnings.showwarning = lambda message, *_, **__: warn(str(message))
        print(model_line(denoiser), file=sys.stderr)
        yield denoiser
