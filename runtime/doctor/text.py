"""Print a diagnosis on one screen."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..model_files import BUNDLED
from .facts import Diagnosis, Trial

_WIDTH = 100
_LABEL = 9
_WHOLE_WORDS: dict[str, Any] = {"break_long_words": False, "break_on_hyphens": False}
_WORDS = {"works": "works", "ready": "ready", "missing": "missing", "fails": "FAILS"}


def to_text(facts: Diagnosis) -> str:
    """Return a diagnosis as lines of at most 100 characters."""
    return "\n".join(_lines(facts))


def to_line(trial: Trial) -> str:
    """Return the result of one trial as one line."""
    if trial.opens:
        return f"{trial.library} on {trial.device} in {trial.precision}, {trial.mp_per_s:.2f} MP/s"
    return f"no backend runs the model: {trial.reason}"


def _lines(facts: Diagnosis) -> Iterator[str]:
    machine, gpu, jetson = facts.machine, facts.gpu, facts.jetson
    container = " · in a container" if machine.is_container else ""
    yield from _labelled("n2b", f"{facts.n2b} · Python {machine.python} · {machine.system}{container}")
    cores = f"{machine.cores} cores in use, {machine.all_cores} hardware threads"
    yield from _labelled("CPU", " · ".join([machine.cpu, cores, " ".join(machine.features)]).rstrip(" ·"))
    yield from _labelled("memory", _memory(machine.free_mb, machine.memory_mb))
    if gpu is None:
        yield from _labelled("GPU", f"none: {facts.gpu_reason}")
    else:
        driver = f"driver {gpu.driver}, " if gpu.driver else ""
        memory = "shares the memory" if gpu.integrated else _memory(gpu.free_mb, gpu.memory_mb)
        described = f"{gpu.name}, compute capability {gpu.compute_capability}"
        yield from _labelled("GPU", f"{described} · {driver}CUDA {gpu.cuda} · {memory}")
    if jetson is not None:
        power = f"power mode {jetson.power_mode}" if jetson.power_mode else "power mode unknown"
        release = f"JetPack {jetson.jetpack or '?'}, L4T {jetson.l4t or '?'}"
        yield from _labelled("Jetson", f"{jetson.model or 'unknown model'} · {release} · {power}")
    names = [f"{camera.device} ({camera.name})" for camera in facts.cameras]
    yield from _labelled(
        "cameras", ", ".join(names) or "no local ones (/dev/video*); rtsp:// and http:// need none"
    )
    yield from _labelled("OpenCV", _opencv(facts))
    yield from _labelled(
        "packages", " · ".join(f"{name} {version}" for name, version in facts.packages.items())
    )
    yield ""
    for trial in facts.trials:
        yield from _trial_lines(trial)
    if facts.gpu is None:
        yield "tensorrt, CUDA and the like need an NVIDIA GPU and its driver"
    yield ""
    if not facts.problems:
        yield "No problems found."
    for problem in facts.problems:
        yield from textwrap.wrap(problem, _WIDTH, initial_indent="! ", subsequent_indent="  ", **_WHOLE_WORDS)


def _labelled(label: str, text: str) -> list[str]:
    indent = " " * _LABEL
    return textwrap.wrap(
        text, _WIDTH, initial_indent=label.ljust(_LABEL), subsequent_indent=indent, **_WHOLE_WORDS
    )


def _memory(free_mb: float | None, total_mb: float | None) -> str:
    if free_mb is None or total_mb is None:
        return "unknown"
    return f"{free_mb / 1000:.1f} of {total_mb / 1000:.1f} GB free"


def _opencv(facts: Diagnosis) -> str:
    opencv = facts.opencv
    if opencv is None:
        return f"none: {facts.opencv_reason}"
    origin = " and ".join(opencv.packages) or "the system's"
    abilities = {"FFmpeg": opencv.ffmpeg, "GStreamer": opencv.gstreamer, "V4L2": opencv.v4l2}
    words = [f"{'with' if has else 'no'} {name}" for name, has in abilities.items()]
    words.append(f"windows by {opencv.windows}" if opencv.windows else "no windows")
    return f"{opencv.version}, {origin} · {', '.join(words)}"


def _trial_lines(trial: Trial) -> list[str]:
    where = trial.device or trial.asked_device
    if trial.backend == "auto" and trial.opens:
        taken = f"auto takes {trial.library} on {where} in {trial.precision}, {trial.mp_per_s:.2f} MP/s"
        model = Path(trial.model)
        name = model.stem if model.resolve().parent == BUNDLED.resolve() else trial.model
        lines = textwrap.wrap(f"{taken}, model {name}", _WIDTH, subsequent_indent="  ", **_WHOLE_WORDS)
        return lines + [line for reason in trial.passed_over for line in _wrapped(f"not {reason}")]
    head = f"{trial.backend} on {where}".ljust(29) + _WORDS[trial.outcome].ljust(9)
    if trial.opens:
        return [f"{head}{trial.precision}, {trial.mp_per_s:.2f} MP/s"]
    return textwrap.wrap(f"{head}{trial.reason}", _WIDTH, subsequent_indent=" " * 4, **_WHOLE_WORDS)


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent="  ", subsequent_indent="  ", **_WHOLE_WORDS)
