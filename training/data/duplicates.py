"""Detect photographs that are in the noisy and in the clean set, which must not overlap."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Iterator

import numpy as np

_logger = logging.getLogger(__name__)


NamedImage = tuple[str, np.ndarray]  # name, pixels (H, W, C)


class Overlap:
    """Compares the images of both sets, the noisy set first, before noise is added."""

    def __init__(self) -> None:
        self._noisy: dict[bytes, str] = {}
        self._shared: list[tuple[str, str]] = []

    def note_noisy(self, images: Iterable[NamedImage]) -> Iterator[NamedImage]:
        """Yield the same images."""
        for name, pixels in images:
            self._noisy.setdefault(_digest(pixels), name)
            yield name, pixels

    def note_clean(self, images: Iterable[NamedImage]) -> Iterator[NamedImage]:
        """Yield the same images."""
        for name, pixels in images:
            if twin := self._noisy.get(_digest(pixels)):
                self._shared.append((name, twin))
            yield name, pixels

    def report(self) -> None:
        """Warn if an image was in both sets."""
        if self._shared:
            name, twin = self._shared[0]
            example = name if name == twin else f"{name}, which is {twin}"
            _logger.warning(
                f"{len(self._shared)} of the clean photographs are in the noisy set too (such as {example}); "
                "what is measured will look better than it is: name other --clean photographs"
            )


def _digest(pixels: np.ndarray) -> bytes:
    digest = hashlib.blake2b(str(pixels.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.digest()
