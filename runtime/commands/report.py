"""Report what a run of n2b-infer did: lines for people, JSON for programs."""

from __future__ import annotations

import json
import math
import os
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ..denoiser import Denoiser
from ..errors import escaped
from ..live_stats import LiveStats
from ..passwords import hide_passwords
from ..pipelines.result import ImageReport, Quality
from ..pipelines.stages import STAGES
from .opened_model import OpenModel

FRAMES_KEPT = 10_000  # of a video or a camera: a few minutes


class RunReport:
    """The results of a run: counts, times, and the details of its images or frames, of the latest `keep`."""

    def __init__(self, keep: int | None = None) -> None:
        self.images: deque[ImageReport] = deque(maxlen=keep)
        self.denoised = 0
        self.failed = 0
        self.skipped = 0
        self.made_again = 0  # of those denoised: there was a result, of something else
        self.megapixels = 0.0  # of those that were denoised
        self.stream: LiveStats | None = None  # of a camera: what was dropped, and the latency
        self._folders: set[Path] = set()  # of the results
        self._started = self._ended = time.perf_counter()

    def add(self, image: ImageReport) -> None:
        """Take in what became of one more image."""
        self.images.append(image)
        self.failed += image.error is not None
        self.denoised += image.error is None
        self.megapixels += image.height * image.width / 1e6
        if image.destination is not None:
            self._folders.add(Path(image.destination).parent)
        self._ended = time.perf_counter()

    @property
    def seconds(self) -> float:
        """From the making of the report to the last image."""
        return self._ended - self._started

    @property
    def megapixels_per_second(self) -> float:
        """Over everything: reading, denoising and writing."""
        return self.megapixels / self.seconds if self.seconds else 0.0

    def summary(self) -> str:
        """One line: images, megapixels per second, failures."""
        line = f"{self.denoised} image{'' if self.denoised == 1 else 's'} denoised"
        counts = (self.skipped, "skipped"), (self.made_again, "made again"), (self.failed, "failed")
        for count, what in counts:
            line += f", {count} {what}" if count else ""
        if self.denoised:
            line += (
                f": {self.megapixels:.2f} MP in {self.seconds:.1f} s, {self.megapixels_per_second:.2f} MP/s"
            )
        return f"{line} → {escaped(self._place())}" if self._folders else line

    def _place(self) -> str:
        """Where the results are: the one, or the folder that holds all."""
        if self.denoised == 1:
            return next(image.destination for image in self.images if image.destination is not None)
        try:
            return os.path.commonpath(self._folders) or os.curdir
        except ValueError:  # some absolute and some not, or on several drives
            return f"{len(self._folders)} folders"

    def stages_ms(self) -> dict[str, dict[str, float]]:
        """Median, 95th and 99th percentile of the time of each stage, in ms an image."""
        stages: dict[str, dict[str, float]] = {}
        for stage in STAGES:
            times = [image.ms[stage] for image in self.images if stage in image.ms and image.error is None]
            if times:
                p50, p95, p99 = map(float, np.percentile(times, [50, 95, 99]))
                stages[stage] = {"p50": p50, "p95": p95, "p99": p99}
        return stages

    def mean_quality(self) -> tuple[Quality, Quality] | None:
        """Mean over the images that have a reference, noisy and denoised; None: there is none."""
        measured = [(i.noisy, i.denoised) for i in self.images if i.noisy and i.denoised]
        if not measured:
            return None
        noisy, denoised = zip(*measured, strict=True)
        return _mean(noisy), _mean(denoised)


def model_line(denoiser: Denoiser | OpenModel) -> str:
    """Name the model in use, its backend, precision and tiles."""
    info = denoiser.info
    height, width = denoiser.tile_hw
    tiles = f"tiles of {height}×{width} px, overlap {denoiser.halo_px} px" if height else "whole images"
    others = f"; not {'; not '.join(denoiser.passed_over)}" if denoiser.passed_over else ""
    return (
        f"model {denoiser.model} ({info.architecture}, {info.precision}, {info.io}), "
        f"{denoiser.backend} on {denoiser.device} in {denoiser.precision}, {tiles}{others}"
    )


def quality_lines(report: RunReport) -> Iterable[str]:
    """PSNR and SSIM of each image and their mean, as a table; nothing where there is no reference."""
    mean = report.mean_quality()
    if mean is None:
        return
    rows = [(escaped(image.source), image.noisy, image.denoised) for image in report.images]
    width = max(len(source) for source, _, _ in rows)
    yield f"{'':{width}}  PSNR/dB: noisy  denoised  SSIM:  noisy  denoised"
    for source, noisy, denoised in [*rows, ("mean", *mean)]:
        if noisy and denoised:
            yield (
                f"{source:{width}}  {noisy.psnr_db:14.2f}  {denoised.psnr_db:8.2f}  "
                f"{noisy.ssim:12.4f}  {denoised.ssim:8.4f}"
            )


def failure_lines(report: RunReport) -> Iterable[str]:
    """List what failed, and why; nothing if nothing failed."""
    failed = [image for image in report.images if image.error is not None]
    if failed:
        yield f"failed, {report.failed} of {report.failed + report.denoised}:"
        yield from (f"  {image.reason}" for image in failed)


def stage_lines(report: RunReport) -> Iterable[str]:
    """Tabulate the time of each stage."""
    yield f"{'ms an image':11}  {'p50':>9}  {'p95':>9}  {'p99':>9}"
    for stage, times in report.stages_ms().items():
        yield f"{stage:11}  {times['p50']:9.2f}  {times['p95']:9.2f}  {times['p99']:9.2f}"


def to_json(report: RunReport, denoiser: Denoiser | OpenModel | None, asked: dict[str, Any]) -> str:
    """The whole report as one JSON object; a PSNR that is infinite, of equal images, is null."""
    mean = report.mean_quality()
    content = {
        "asked": asked,
        "used": None if denoiser is None else _used(denoiser),
        "images": [_image(image) for image in report.images],
        "denoised": report.denoised,
        "skipped": report.skipped,
        "made_again": report.made_again,
        "failed": report.failed,
        "megapixels": report.megapixels,
        "seconds": report.seconds,
        "megapixels_per_second": report.megapixels_per_second,
        "stages_ms": report.stages_ms(),
        "stream": None if report.stream is None else asdict(report.stream),
        "mean": None if mean is None else {"noisy": _quality(mean[0]), "denoised": _quality(mean[1])},
    }
    return json.dumps(content, allow_nan=False)


def _used(denoiser: Denoiser | OpenModel) -> dict[str, Any]:
    info = denoiser.info
    return {
        "model": str(denoiser.model),
        "architecture": info.architecture,
        "precision": denoiser.precision,
        "passed_over": denoiser.passed_over,
        "io": info.io,
        "backend": denoiser.backend,
        "device": denoiser.device,
        "tile_hw": denoiser.tile_hw if any(denoiser.tile_hw) else None,  # None: whole images
        "halo_px": denoiser.halo_px,
        "batch": denoiser.batch,
    }


def _image(image: ImageReport) -> dict[str, Any]:
    return {
        **vars(image),
        "noisy": _quality(image.noisy),
        "denoised": _quality(image.denoised),
        "error": None if image.error is None else hide_passwords(str(image.error)),
    }


def _quality(quality: Quality | None) -> dict[str, float | None] | None:
    if quality is None:
        return None
    return {"psnr_db": quality.psnr_db if math.isfinite(quality.psnr_db) else None, "ssim": quality.ssim}


def _mean(qualities: Sequence[Quality]) -> Quality:
    return Quality(
        psnr_db=float(np.mean([quality.psnr_db for quality in qualities])),
        ssim=float(np.mean([quality.ssim for quality in qualities])),
    )
