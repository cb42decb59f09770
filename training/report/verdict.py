"""Verdicts on no-reference quality, in words, with advice."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..evaluation.comparison import BEST, CAMERA, INPUT, Conclusion
from ..evaluation.no_reference import NoReferenceQuality

GOOD, FAIR, POOR = "good", "fair", "poor"
_GRAVITY = {GOOD: 0, FAIR: 1, POOR: 2}
_LONGER_IS_VAIN = (
    "Longer training would not help: the last snapshots brought nothing. Name more noisy images by the same "
    "camera, or more --clean photographs."
)

# Empirical thresholds: trained networks and BM3D stay below the first of each pair, blurs of σ 1 px and
# runs of a few minutes exceed the second.
LITTLE_NOISE = 1.0  # σ in grey levels
NOISE_LEFT = (0.18, 0.3)  # share of σ before that certainly remains
TEXTURE = 0.5  # σ after over σ before
ROUGHER = 1.1  # likewise
DETAIL_LOST = (0.15, 0.3)
DETAIL_REMOVED = 2.0  # energy of what is removed over that of the noise
CAMERA_BETTER_DB = 0.1
COLOUR_SHIFT = (1.5, 4.0)  # grey levels


@dataclass(frozen=True)
class Verdict:
    """`level` is "good", "fair" or "poor"; `words` say why, `advice` what to do ("" when all is well)."""

    level: str
    words: str
    advice: str = ""


def verdict_on(quality: NoReferenceQuality) -> Verdict:
    """Return the verdict on one result; it names all faults, its advice is for the gravest.

    Of equally grave ones it is on the last: a network that broke shows it by its colours.
    """
    has_noise = quality.sigma_before >= LITTLE_NOISE
    faults = []
    if has_noise:
        faults.append(_noise_fault(quality))
    if quality.detail_loss is not None:
        faults.append(_detail_fault(quality.detail_loss))
    faults.append(_colour_fault(max(quality.colour_shift, key=abs)))
    faults = [fault for fault in faults if fault is not None]
    if not faults:
        kept = "" if quality.detail_loss is None else ", detail is kept"
        return Verdict(GOOD, f"Noise is gone{kept}." if has_noise else "There is almost no noise to remove.")
    gravest = next((fault for fault in reversed(faults) if fault.level == POOR), faults[0])
    return Verdict(gravest.level, " ".join(fault.words for fault in faults), gravest.advice)


def verdict_on_run(
    quality: Verdict | None, conclusion: Conclusion | None, structured: Sequence[str] = ()
) -> Verdict | None:
    """Return the verdict on a run: that on its images, and how its result compares, the gravest first.

    Args:
        quality: the verdict on its images; None if they are too small for one.
        conclusion: how it compares; None if that is unknown.
        structured: lines on noise that a denoiser takes for detail.
    """
    is_settled = conclusion is not None and not conclusion.is_improving
    if is_settled and quality is not None and quality.advice.startswith("Train longer"):
        quality = replace(quality, advice=_LONGER_IS_VAIN)
    comparison = _comparison_fault(conclusion) if conclusion is not None else None
    faults = (comparison, quality, _structure_fault(structured) if structured else None)
    known = sorted((fault for fault in faults if fault is not None), key=lambda fault: -_GRAVITY[fault.level])
    if not known:
        return None
    gravest, *others = known
    words = [gravest.words, *(other.words for other in others if other.level != GOOD)]
    return replace(gravest, words=" ".join(words))


def _structure_fault(structured: Sequence[str]) -> Verdict:
    kinds = "; ".join(line.split(":", maxsplit=1)[0] for line in structured)
    return Verdict(FAIR, f"Part of the noise has structure and stays: {kinds}.", "Take dark frames: --dark.")


def _comparison_fault(conclusion: Conclusion) -> Verdict | None:
    scores, removed = conclusion.scores, conclusion.removed[BEST]
    use_camera = "Use the bundled model: n2b-infer -m camera"
    if scores[BEST] <= scores[INPUT]:
        return Verdict(
            POOR,
            "The result is worse than the noisy images themselves.",
            "Leave them as they are, or name more noisy images by the same camera.",
        )
    if removed > DETAIL_REMOVED:
        is_camera_safe = conclusion.removed.get(CAMERA, removed) < removed / 1.5
        return Verdict(
            POOR,
            f"The result loses detail: it removes {removed:.1f} times the energy of the noise.",
            use_camera
            if is_camera_safe
            else "Name more noisy images by the same camera, or more --clean "
            "photographs that show such detail.",
        )
    better_db = scores.get(CAMERA, -math.inf) - scores[BEST]
    if better_db > CAMERA_BETTER_DB:
        return Verdict(
            POOR, f"The bundled model 'camera' is better on these images, by {better_db:.1f} dB.", use_camera
        )
    if conclusion.best_step == 0:
        return Verdict(
            FAIR,
            "No snapshot is better than the model that the training started from, which is kept.",
            "Name more noisy images by the same camera, or use the model as it was.",
        )
    return None


def _noise_fault(quality: NoReferenceQuality) -> Verdict | None:
    at_least, at_most = quality.remaining_noise_min, quality.remaining_noise
    if at_most > ROUGHER:
        return Verdict(
            POOR, "The result is rougher than the noisy image.", "Train longer; the training has only begun."
        )
    if at_least > NOISE_LEFT[1]:
        return Verdict(
            POOR,
            "Noise remains.",
            "Train longer. If it stays, the labels may still hold noise (a stronger --filter), or there are "
            "too few noisy images.",
        )
    if at_least > NOISE_LEFT[0]:
        return Verdict(FAIR, "Some noise remains.", "Train longer.")
    if at_most > TEXTURE:
        return Verdict(
            FAIR,
            "Fine noise is gone; what remains in the flattest areas is texture or coarse noise.",
            "Look at the crops: if it is coarse noise, train longer.",
        )
    return None


def _detail_fault(lost: float) -> Verdict | None:
    if lost > DETAIL_LOST[1]:
        return Verdict(
            POOR,
            "Detail is being removed.",
            "Train longer, with more clean photographs that are sharp and show such detail; a gentler "
            "--filter may help.",
        )
    if lost > DETAIL_LOST[0]:
        return Verdict(
            FAIR,
            "Some fine detail is removed.",
            "Look at what was removed: if it shows edges, train longer, or add clean photographs that "
            "show such detail.",
        )
    return None


def _colour_fault(shift: float) -> Verdict | None:
    if abs(shift) <= COLOUR_SHIFT[0]:
        return None
    direction = "brighter" if shift > 0 else "darker"
    return Verdict(
        POOR if abs(shift) > COLOUR_SHIFT[1] else FAIR,
        f"A colour channel becomes {direction} by {abs(shift):.1f} grey levels.",
        "Train longer: a short training does not yet keep brightness and colour. After a long one, train on "
        "larger crops (--patch 128) or with a smaller --lr: on crops of 64 px the deepest layers see mostly "
        "the border, and may fail inside a larger image.",
    )
