"""Choose the charts of a run from its curves, with captions that say what to look for."""

from __future__ import annotations

from collections.abc import Mapping

from ..metrics import Curve
from .charts import Chart

_LOSS, _VALIDATION = "loss/", "validation/"
_N2B, _N2C = "loss/n2b", "loss/n2c"
_PSNR, _PSNR_NOISY = "validation/psnr_db", "validation/psnr_noisy_db"
_OVER = {"the bundled model": "validation/over_camera_db", "the best before": "validation/over_best_db"}
_OVER_INPUT = "validation/over_input_db"  # far above the others
_GAIN, _NOISE_MAP = "validation/gain", "validation/noise_map"


def has_only_initial_stage(curves: Mapping[str, Curve]) -> bool:
    """Return True if a Noise2Blur run ended before its convergence stage."""
    return _N2B in curves and _N2C not in curves


def stage_change(curves: Mapping[str, Curve]) -> int | None:
    """Return the last recorded step of the initial stage; None if there is only one stage."""
    if _N2B not in curves or _N2C not in curves:
        return None
    initial = curves[_N2B].steps[curves[_N2B].steps < curves[_N2C].steps[0]]
    return int(initial[-1]) if len(initial) else None


def run_charts(curves: Mapping[str, Curve]) -> list[Chart]:
    """Return the charts of losses, PSNR and other validation values, as far as recorded."""
    charts = [_losses(curves), _psnr(curves), _compared(curves), _gain(curves), _noise_map(curves)]
    known = {_PSNR, _PSNR_NOISY, _GAIN, _NOISE_MAP, _OVER_INPUT, *_OVER.values()}
    others = [tag for tag in sorted(curves) if tag.startswith(_VALIDATION) and tag not in known]
    charts += [_other(tag, curves[tag]) for tag in others]
    return [chart for chart in charts if chart is not None]


def _losses(curves: Mapping[str, Curve]) -> Chart | None:
    tags = [tag for tag in curves if tag.startswith(_LOSS)]
    tags.sort(key=lambda tag: (tag != _N2B, tag != _N2C, tag))
    losses = {_loss_name(tag): curves[tag] for tag in tags}
    if not losses:
        return None
    change = stage_change(curves)
    if _N2C in curves:
        caption = (
            "Success: L_n2b jumps up where the convergence stage begins and stays up, while L_n2c falls. "
            "L_n2b that falls to the level of before: the noise map is empty or holds the detail."
        )
    elif _N2B in curves:
        caption = "The run ended in its initial stage, before L_n2c is computed."
    else:
        caption = "The loss falls and levels off."
    return Chart(
        "losses",
        "Losses",
        losses,
        "loss",
        caption,
        is_log=True,
        marks=None if change is None else {"convergence stage": change},
    )


def _loss_name(tag: str) -> str:
    return f"L_{tag.removeprefix(_LOSS)}"


def _psnr(curves: Mapping[str, Curve]) -> Chart | None:
    if _PSNR not in curves:
        return None
    last = float(curves[_PSNR].values[-1])
    caption, levels = f"Higher is better. At the end {last:.2f} dB", None
    if _PSNR_NOISY in curves:
        noisy = float(curves[_PSNR_NOISY].values[-1])
        caption += f", {last - noisy:+.2f} dB against the noisy images"
        levels = {"noisy": noisy}
    return Chart(
        "psnr",
        "PSNR on validation crops",
        {"denoised": curves[_PSNR]},
        "PSNR, dB",
        f"{caption}.",
        levels=levels,
    )


def _compared(curves: Mapping[str, Curve]) -> Chart | None:
    present = {name: curves[tag] for name, tag in _OVER.items() if tag in curves}
    if not present:
        return None
    return Chart(
        "compared",
        "Each snapshot against others, without a reference",
        present,
        "better than …, dB",
        "Above 0 the snapshot is better. Once none is better than the best before it, longer training brings "
        "nothing.",
        levels={"": 0.0},
    )


def _gain(curves: Mapping[str, Curve]) -> Chart | None:
    if _GAIN not in curves:
        return None
    return Chart(
        "gain",
        "Gain: how much of the noise the noise map holds",
        {"gain": curves[_GAIN]},
        "⟨ñ,n⟩ / ⟨n,n⟩",
        "About 0.93 when it works. Under 0.8 late in the run: the labels hold noise, or the training has "
        "collapsed.",
        levels={"0.93": 0.93, "0.8": 0.8},
    )


def _noise_map(curves: Mapping[str, Curve]) -> Chart | None:
    if _NOISE_MAP not in curves:
        return None
    return Chart(
        "noise-map",
        "Strength of the noise map",
        {"ñ": curves[_NOISE_MAP]},
        "σ of ñ, grey levels",
        "It should settle near the σ of the noise. If it shrinks to 0, the network gives back its input.",
    )


def _other(tag: str, curve: Curve) -> Chart:
    name = tag.removeprefix(_VALIDATION)
    return Chart(
        name.replace("/", "-").replace("_", "-"),
        f"Validation: {name}",
        {name: curve},
        name,
        "Measured while training.",
    )
