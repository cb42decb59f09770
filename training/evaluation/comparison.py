"""The results of a comparison of denoisers without a reference, as plain data."""

from __future__ import annotations

from dataclasses import dataclass

# names of candidates: the best snapshot so far, a new one, the bundled model for cameras, no denoiser at all
BEST, NEW, CAMERA, INPUT = "best", "new", "camera", "input"


@dataclass(frozen=True)
class Comparison:
    """How well each candidate restores, by its name, and "input": no denoiser at all.

    Attributes:
        scores: dB; they compare with each other only, since the same noise was in all.
        removed: median over the crops of ‖x − f(x)‖² over the variance of the noise: about 1, and from 2 on
            detail is removed.
    """

    scores: dict[str, float]
    removed: dict[str, float]


@dataclass(frozen=True)
class Conclusion:
    """How the best snapshot of a run compares at its end.

    Attributes:
        best_step: step of the best snapshot, which is exported; 0: none is better than the start.
        judged: names of the images that were compared on.
        scores, removed: as in `Comparison`; of "best", "camera" (the bundled model) and "input".
        is_improving: the last snapshots brought gains.
    """

    best_step: int
    judged: list[str]
    scores: dict[str, float]
    removed: dict[str, float]
    is_improving: bool
