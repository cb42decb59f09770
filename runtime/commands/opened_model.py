"""Describe a model that is open in another process."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..backends import BACKENDS
from ..model_info import ModelInfo

if TYPE_CHECKING:
    from ..denoiser import Denoiser
    from .settings import DenoiserOptions


@dataclass(frozen=True)
class OpenModel:
    """A model as a worker opened it; the attributes of `Denoiser` that describe it."""

    info: ModelInfo
    model: Path
    sha256: str
    backend: str
    device: str
    precision: str
    passed_over: tuple[str, ...]
    allow_8bit: bool
    halo_px: int
    batch: int
    tile_hw: tuple[int, int]
    messages: tuple[tuple[int, str], ...]  # level and text of what was logged

    @classmethod
    def of(cls, denoiser: Denoiser, sha256: str, messages: tuple[tuple[int, str], ...]) -> OpenModel:
        """Describe a denoiser."""
        names = {field.name for field in dataclasses.fields(cls)} - {"sha256", "messages"}
        return cls(sha256=sha256, messages=messages, **{name: getattr(denoiser, name) for name in names})

    def pin(self, options: DenoiserOptions) -> DenoiserOptions:
        """Return the options by which every worker opens it as this one did.

        What is measured, the faster library and the largest tiles, may differ between machines.
        """
        backend = next((name for name in BACKENDS if name == self.backend), options.backend)
        pinned = dataclasses.replace(options, backend=backend, halo_px=self.halo_px)
        height, width = self.tile_hw
        if self.device == "cpu" and options.tile == "auto" and height == width:
            return dataclasses.replace(pinned, tile=height, max_memory=None)
        return pinned
