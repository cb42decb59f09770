"""Detect photographs that are in both sets, and images that changed since a run began."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...runtime.errors import UserError

_logger = logging.getLogger(__name__)


NamedImage = tuple[str, np.ndarray]  # name, pixels (H, W, C)


class Overlap:
    """Compares the images of both sets, the noisy set first, before noise is added.

    Args:
        is_synthetic: noise is added to the noisy set, which is then measured.
    """

    def __init__(self, *, is_synthetic: bool) -> None:
        self._is_synthetic = is_synthetic
        self._counts = {"noisy": 0, "clean": 0}
        self._all = hashlib.sha256()
        self._noisy: dict[bytes, str] = {}
        self._shared: list[tuple[str, str]] = []

    def note_noisy(self, images: Iterable[NamedImage]) -> Iterator[NamedImage]:
        """Yield the same images."""
        for name, pixels in images:
            self._noisy.setdefault(self._add("noisy", pixels), name)
            yield name, pixels

    def note_clean(self, images: Iterable[NamedImage]) -> Iterator[NamedImage]:
        """Yield the same images."""
        for name, pixels in images:
            if twin := self._noisy.get(self._add("clean", pixels)):
                self._shared.append((name, twin))
            yield name, pixels

    @property
    def contents(self) -> dict[str, int | str]:
        """The number of images in both sets, and the SHA-256 of all in their order."""
        return {**self._counts, "sha256": self._all.hexdigest()}

    def _add(self, kind: str, pixels: np.ndarray) -> bytes:
        digest = _digest(pixels)
        self._counts[kind] += 1
        self._all.update(kind.encode() + digest)
        return digest

    def report(self) -> None:
        """Warn if an image was in both sets."""
        if self._shared:
            name, twin = self._shared[0]
            example = name if name == twin else f"{name}, which is {twin}"
            harm = (
                "what is measured will look better than it is"
                if self._is_synthetic
                else "clean photographs with noise in them teach the network to keep it"
            )
            _logger.warning(
                f"{len(self._shared)} of the clean photographs are in the noisy set too (such as {example}); "
                f"{harm}: name other --clean photographs"
            )


def check_contents(contents: Mapping[str, int | str], before: Mapping[str, Any] | None, run: Path) -> None:
    """Raise UserError if the images are not those that a run began with; None: it did not record them."""
    if before is None or before == contents:
        return
    then, now = (f"{one.get('noisy')} noisy and {one.get('clean')} clean" for one in (before, contents))
    difference = f"{then}, and now there are {now}" if then != now else f"{then}, and others have their names"
    raise UserError(
        f"the images of {run} have changed: it began with {difference}; put them back, or start a new run"
    )


def _digest(pixels: np.ndarray) -> bytes:
    digest = hashlib.blake2b(str(pixels.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.digest()
