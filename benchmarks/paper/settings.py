"""Set the sizes of an experiment; the defaults are for two hours of one processor core."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """Settings that all tables share."""

    data: tuple[Path, ...]  # clean photographs to train on
    test: Path  # clean photographs to measure on
    real: tuple[Path, ...] = ()  # folders of a camera's images, noisy/ and clean/ in each
    steps: int = 1500  # of every training
    batch: int = 8
    patch_px: int = 64
    learning_rate: float = 1e-3
    arch: str = "edge"  # what two hours of a core train as far as that the methods differ by more than haste
    noisy_images: int = 40
    clean_images: int = 100
    images: int = 20  # test images
    crop_px: int = 128  # side of the middle that is measured; 0: all of it
    wnnm_images: int = 3
    seed: int = 0
    device: str = "auto"
