"""Open the denoiser of a command line, and say what is used."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..system.console import warn

if TYPE_CHECKING:
    from ..denoiser import Denoiser


@contextmanager
def open_denoiser(options: dict[str, Any]) -> Iterator[Denoiser]:
    """The denoiser; what it uses, and now or later does otherwise than asked, is told on standard error.

    Args:
        options: the arguments of Denoiser.
    """
    from ..denoiser import Denoiser
    from .report import model_line

    with warnings.catch_warnings():
        warnings.simplefilter("always", RuntimeWarning)
        warnings.showwarning = lambda message, *_args, **_options: warn(str(message))
        with Denoiser(**options) as denoiser:
            print(model_line(denoiser), file=sys.stderr)
            yield denoiser
