"""The result of one image, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..errors import UserError


@dataclass(frozen=True)
class Quality:
    """Similarity of an image to its reference."""

    psnr_db: float
    ssim: float


@dataclass
class ImageReport:
    """Result of one image or frame."""

    source: str
    destination: str | None = None  # None: shown in a window
    height: int = 0
    width: int = 0
    ms: dict[str, float] = field(default_factory=dict)  # by stage
    noisy: Quality | None = None
    denoised: Quality | None = None
    error: UserError | None = None  # why it was given up
    warnings: tuple[str, ...] = ()  # what was wrong with the file although it was read
    in_strips: bool = False  # it was too large for the memory

    @property
    def reason(self) -> str:
        """Name the image that failed, and why."""
        reason = str(self.error)
        return reason if self.source in reason else f"{self.source}: {reason}"
