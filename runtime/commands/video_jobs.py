"""Which video goes where."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from ..errors import UserError
from ..images.image import IMAGE_SUFFIXES
from ..pipelines.job import Job
from ..sinks import VIDEO_FORMATS
from ..sources import VIDEO_SUFFIXES, find_files
from .jobs import absolute, place_of_result

_logger = logging.getLogger(__name__)

_OTHER_FORMAT = ".mkv"  # of the results of videos in formats that cannot be written; it holds any sound


def plan_videos(inputs: Sequence[str], out: Path | None, suffix: str | None, ext: str | None) -> list[Job]:
    """What is to be done for videos; nothing where the inputs name images.

    A folder that holds images is one of images, and its videos are left out with a warning.

    Args:
        inputs: files, folders, globs.
        out: a folder, or for one video a file; None: beside each video.
        suffix: goes between name and extension of a result; None: `_denoised` beside the video, else none.
        ext: the extension of the results; None: that of the video where it can be written, else .mkv.

    Raises:
        UserError: videos and images in one run, a result that would overwrite a video or another result, or a
            format that cannot be written.
    """
    paths = [Path(name).expanduser() for name in inputs]
    found = {video: below for path in paths for video, below in _videos(path).items()}
    if not found:
        return []
    image = next((image for path in paths for image in _images(path)), None)
    if image is not None:
        first = next(iter(found))
        raise UserError(f"videos ({first}) and images ({image}) cannot be denoised in one run")
    if out is not None and out.suffix.lower() in VIDEO_SUFFIXES and not out.is_dir():
        if len(found) > 1:
            raise UserError(f"{out} names one video and there are {len(found)}; name a folder with -o")
        return _check([Job(video, out) for video in found])
    jobs = [Job(video, _destination(video, below, out, suffix, ext)) for video, below in found.items()]
    results = {absolute(job.destination) for job in jobs}
    named = {absolute(path) for path in paths}
    return _check(
        [job for job in jobs if absolute(job.source) in named or absolute(job.source) not in results]
    )


def _videos(path: Path) -> dict[Path, Path]:
    """The videos of an input, each with where it lies below it."""
    if path.is_file():
        return {path: Path(path.name)} if path.suffix.lower() in VIDEO_SUFFIXES else {}
    videos = _found(path, VIDEO_SUFFIXES)
    if videos and path.is_dir() and _found(path, IMAGE_SUFFIXES):
        _logger.warning(
            f"left out: {len(videos)} videos in {path}, which holds images; name them to have them denoised"
        )
        return {}
    return {video: video.relative_to(path) if path.is_dir() else Path(video.name) for video in videos}


def _images(path: Path) -> list[Path]:
    """The images of an input."""
    if path.is_file():
        return [] if path.suffix.lower() in VIDEO_SUFFIXES else [path]
    return _found(path, IMAGE_SUFFIXES)


def _found(path: Path, suffixes: tuple[str, ...]) -> list[Path]:
    try:
        return find_files([path], suffixes, "")
    except UserError:  # said, where it matters, when images are looked for
        return []


def _destination(video: Path, below: Path, out: Path | None, suffix: str | None, ext: str | None) -> Path:
    extension = video.suffix if video.suffix.lower() in VIDEO_FORMATS else _OTHER_FORMAT
    if ext is not None:
        extension = f".{ext.lstrip('.')}"
    return place_of_result(video, below, out, suffix, extension)


def _check(jobs: list[Job]) -> list[Job]:
    sources = {job.source.resolve() for job in jobs}
    writers: dict[Path, Path] = {}
    for job in jobs:
        destination = job.destination.resolve()
        if destination.suffix.lower() not in VIDEO_FORMATS:
            raise UserError(f"{job.destination}: videos are written as {' '.join(VIDEO_FORMATS)}")
        if destination in sources:
            raise UserError(f"the result of {job.source} would overwrite a video; name another place with -o")
        other = writers.setdefault(destination, job.source)
        if other != job.source:
            raise UserError(f"{other} and {job.source} would both be written to {job.destination}")
    return jobs
