"""Settings that may change while a stream is denoised."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Controls:
    """The settings of a running stream, read before each frame; any thread may set them."""

    strength: float = 1.0  # 0 leaves the image unchanged, 1 denoises fully; values between mix both
