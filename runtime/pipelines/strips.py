"""Denoise images larger than the memory in strips, with the result of the whole."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from ..denoiser import Denoiser
from ..errors import ImageError, MissingPackageError
from ..images.dark import DarkFrame
from ..images.formats import FormatError
from ..images.large_tiff import LargeTiff, load_tifffile, tiff_layout
from ..images.scale import from_full_scale
from ..images.tiff import writer as tiff_writer
from ..inference.executor import MODEL, Progress
from ..inference.tile_size import DEFAULT_MEMORY_MB
from ..inference.tiling import Tile, TilePlan, plan_tiles, smallest_tile_px
from ..system.files import atomic_path
from ..system.memory import available_bytes
from ..system.prefetch import prefetch
from .job import Job
from .result import ImageReport

_logger = logging.getLogger(__name__)

TIFF_SUFFIXES = (".tif", ".tiff")
STRIPS_MEMORY_MB = 1200  # for the model, where nothing is asked for: a gigapixel then takes less than 2 GB
_STRIPS_AT_ONCE = 4  # one is read, one waits, one is in the model, and its result


def find_large(jobs: Sequence[Job], memory_mb: float) -> list[Job]:
    """Return the jobs to do in strips: TIFF files that, with their results, are larger than this memory.

    Without tifffile, those that the machine can hold are done whole, with a warning.

    Raises:
        MissingPackageError: there are others, and tifffile is not installed.
    """
    large = [job for job in jobs if _pixels_mb(job.source) > memory_mb]
    try:
        if large:
            load_tifffile()
    except MissingPackageError as error:
        # while it decodes, the file and two copies of the pixels are in memory, afterwards pixels and result
        if max(2 * _pixels_mb(job.source) for job in large) > (available_bytes() or 0) / 1e6:
            raise
        _logger.warning(
            f"{len(large)} large images are held in memory whole and not in strips, since {error}"
        )
        return []
    return large


def _pixels_mb(path: Path) -> float:
    """Return the memory of a TIFF file's pixels and their result; 0 for any other file."""
    layout = tiff_layout(path) if path.suffix.lower() in TIFF_SUFFIXES else None
    return 0 if layout is None else 2 * layout.nbytes / 1e6


def denoise_by_strips(
    job: Job,
    denoiser: Denoiser,
    strength: float,
    on_progress: Progress,
    memory_mb: float = DEFAULT_MEMORY_MB,
    dark: DarkFrame | None = None,
    white_level: float | None = None,
) -> ImageReport:
    """Denoise a TIFF file, of which a few strips are in memory at any time.

    The strips are the rows of tiles that the whole image would be cut into, or lower ones with the same
    overlap, so that the result is that of the whole. It keeps the tags that describe the image, EXIF's
    among them, and the colour profile; orientation is such a tag, and the pixels stay as they lie.

    Args:
        memory_mb: half of it is for strips; they get no lower than two overlaps.
        dark: frame to subtract first.
        white_level: as of `read_image`.

    Raises:
        ImageError: the file is damaged, not of a kind that is read in parts, or not to be written as TIFF.
        UserError: the result cannot be written.
        EnvironmentFault: the device failed.
    """
    if job.destination.suffix.lower() not in TIFF_SUFFIXES:
        raise ImageError(
            f"{job.source} is too large for the memory and is written in strips, as TIFF alone can be; "
            "name a result that ends in .tif, take --ext tif, or raise --max-memory"
        )
    if job.reference is not None:
        raise ImageError(f"{job.source} is too large to be compared; leave out --reference")
    source = LargeTiff(job.source, white_level)
    if dark is not None:
        dark.check(source.info.shape, source.info.dtype, str(job.source))
    plan = _plan(denoiser, source, memory_mb / 2)
    _log(job.source, source, plan)
    report = ImageReport(str(job.source), str(job.destination), *plan.image_hw, ms={MODEL: 0}, in_strips=True)
    report.warnings = tuple(source.header.warnings())
    try:
        with (
            atomic_path(job.destination) as temporary,
            open(temporary, "wb") as file,
            closing(_denoised(source, plan, denoiser, strength, on_progress, report, dark)) as strips,
        ):
            scaled = strips if white_level is None else (from_full_scale(one, white_level) for one in strips)
            tiff_writer.write_bands(file, source.info, scaled)
    except FormatError as error:
        raise ImageError(f"{job.destination} {error}") from error
    return report


def _plan(denoiser: Denoiser, source: LargeTiff, memory_mb: float) -> TilePlan:
    height, width, _ = source.info.shape
    plan = denoiser.plan(height, width)
    multiple_px, halo_px = denoiser.info.size_multiple_px, denoiser.halo_px
    row_mb = source.info.nbytes / height / 1e6
    rows = max(int(memory_mb / (_STRIPS_AT_ONCE * row_mb)), 4 * halo_px) // multiple_px * multiple_px
    rows = max(rows, smallest_tile_px(halo_px, multiple_px))
    if plan.tile_hw[0] <= rows:
        return plan
    tile_px = rows, denoiser.tile_hw[1]
    return plan_tiles(height, width, tile_px=tile_px, halo_px=halo_px, multiple_px=multiple_px)


def _denoised(
    source: LargeTiff,
    plan: TilePlan,
    denoiser: Denoiser,
    strength: float,
    on_progress: Progress,
    report: ImageReport,
    dark: DarkFrame | None,
) -> Generator[np.ndarray, None, None]:
    """Yield the rows of the result, a row of tiles at a time, and add up the time that they take."""
    height = plan.image_hw[0]
    rows = _first_of_each_row(plan)
    spans = [(tile.source.top, min(tile.source.bottom, height)) for tile in rows]
    with closing(prefetch(source.bands(spans))) as bands:
        for number, (tile, band) in enumerate(zip(rows, bands, strict=True)):
            started = time.perf_counter()
            noisy = band
            if dark is not None:
                noisy = dark.subtract_rows(band, spans[number][0])
            clean = denoiser(
                noisy, strength, on_progress=lambda part, done=number: on_progress((done + part) / len(rows))
            )
            report.ms[MODEL] += (time.perf_counter() - started) * 1e3
            yield clean[tile.keep.top : tile.keep.bottom]


def _first_of_each_row(plan: TilePlan) -> list[Tile]:
    return [tile for tile in plan.tiles if tile.target.left == 0]


def _log(path: Path, source: LargeTiff, plan: TilePlan) -> None:
    height, width, _ = source.info.shape
    for warning in source.header.warnings():
        _logger.warning(f"{path}: {warning}")
    if source.header.icc_profile and not source.info.icc_profile:
        _logger.warning(f"{path}: its colour profile does not fit its pixels, and is left out")
    _logger.info(f"{path}: {width}×{height} px, in strips of {plan.tile_hw[0]} rows")
