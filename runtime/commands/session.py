"""Open the denoiser of a command line, and say what is used."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..denoiser import Denoiser

_logger = logging.getLogger(__name__)


@contextmanager
def open_denoiser(options: dict[str, Any]) -> Iterator[Denoiser]:
    """Open a denoiser and log what it uses.

    Args:
        options: the arguments of Denoiser.
    """
    from ..denoiser import Denoiser
    from .report import model_line

    with Denoiser(**options) as denoiser:
        _logger.info(model_line(denoiser))
        yield denoiser
