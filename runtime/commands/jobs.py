"""Plan which image or video is written where: no input is overwritten, and no two results share a file."""

from __future__ import annotations

import glob
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import UserError
from ..images.image import IMAGE_SUFFIXES, read_image
from ..images.raw import DEVELOPED_SUFFIX, is_raw, raw_suffixes
from ..pipelines.job import Job
from ..sinks import VIDEO_FORMATS
from ..sources import VIDEO_SUFFIXES, Input, find_files, find_input
from ..system.file_names import names_a_file
from .settings import OutputPlan

_logger = logging.getLogger(__name__)

_FALLBACK_FORMAT = ".mkv"  # for videos in formats that cannot be written; it holds any sound


@dataclass(frozen=True)
class Plan:
    """The jobs of a run: images or videos, never both."""

    jobs: list[Job]  # one for each image or video
    is_video: bool = False  # True for videos
    keeps_manifest: bool = False  # True if the results go into a folder, which then gets a manifest


@dataclass(frozen=True)
class _Found:
    """An image or video, and its path below the input that named it."""

    path: Path
    below: Path
    is_named: bool  # by itself, not by a folder or a glob
    is_video: bool

    @property
    def kind(self) -> str:
        return "video" if self.is_video else "image"

    @property
    def extension(self) -> str:
        """Extension of the result, if none is asked for."""
        if is_raw(self.path):
            return DEVELOPED_SUFFIX
        is_writable = not self.is_video or self.path.suffix.lower() in VIDEO_FORMATS
        return self.path.suffix if is_writable else _FALLBACK_FORMAT


def plan_jobs(inputs: Sequence[str | Path], outputs: OutputPlan) -> Plan:
    """Plan what is done for the inputs.

    In a folder that holds images, videos are left out with a warning. What a folder or a glob names and an
    earlier run like this one wrote is left out too.

    Args:
        inputs: image files or video files, folders (with their subfolders), globs.

    Raises:
        UserError: an input does not exist, images and videos are mixed, a result would overwrite an input or
            another result, a reference is missing, or no writer knows the extension.
    """
    if not inputs:
        raise UserError("nothing to denoise: name image files, folders or globs, or a camera with --camera 0")
    if outputs.reference is not None and not outputs.reference.is_dir():
        raise UserError(f"{outputs.reference} is no folder; --reference takes a folder of clean images")
    found = _find_all(inputs)
    first, is_video = found[0], any(one.is_video for one in found)
    if is_video:
        if image := next((one for one in found if not one.is_video), None):
            first = next(one for one in found if one.is_video)
            raise UserError(f"videos ({first.path}) and images ({image.path}) cannot be denoised in one run")
        if outputs.reference is not None:
            raise UserError("--reference measures images, and videos were named")
    if outputs.out is not None and names_a_file(outputs.out):
        if len(found) != 1 or not first.is_named:
            raise UserError(
                f"{outputs.out} names one {first.kind} and there are {len(found)}; name a folder with -o"
            )
        if outputs.suffix is not None or outputs.ext is not None:
            raise UserError(
                f"{outputs.out} names the file already; leave out --suffix and --ext, or name a folder"
            )
        jobs = [Job(first.path, outputs.out, _reference(first, outputs.reference))]
        return Plan(_checked(jobs, is_video, outputs), is_video)
    jobs = [
        Job(one.path, outputs.place(one.path, one.below, one.extension), _reference(one, outputs.reference))
        for one in _without_earlier_results(found, outputs)
    ]
    return Plan(_checked(jobs, is_video, outputs), is_video, keeps_manifest=outputs.out is not None)


def find_images_below(inputs: Sequence[str | Path]) -> list[tuple[Path, Path]]:
    """Return the image files of all inputs, each with its path below the input that named it.

    Raises:
        UserError: an input does not exist, or is a video or a camera.
    """
    found = _find_all(inputs)
    if video := next((one for one in found if one.is_video), None):
        raise UserError(f"{video.path} is a video; name images")
    return [(one.path, one.below) for one in found]


def _find_all(inputs: Sequence[str | Path]) -> list[_Found]:
    """Find the images or videos of all inputs, each path once."""
    found: dict[Path, _Found] = {}
    for name in inputs:
        for one in _find(find_input(name)):
            found.setdefault(_absolute(one.path), one)
    return list(found.values())


def _find(source: Input) -> list[_Found]:
    if source.is_camera or source.path is None:
        raise UserError(f"{source.shown_name} is a camera; name it with --camera")
    if source.kind == "dnd":
        raise UserError(f"{source.name} is the DND benchmark; name it with --dnd")
    path = source.path
    if source.kind in ("image", "video"):
        return [_Found(path, Path(path.name), True, source.kind == "video")]
    root = path if source.kind == "folder" else Path(*_before_magic(path.parts))
    paths = find_files([source], IMAGE_SUFFIXES + raw_suffixes() + VIDEO_SUFFIXES, "images or videos")
    found = [_Found(one, one.relative_to(root), False, one.suffix.lower() in VIDEO_SUFFIXES) for one in paths]
    images = [one for one in found if not one.is_video]
    if source.kind == "folder" and images and len(images) < len(found):
        _logger.warning(
            f"left out: {len(found) - len(images)} videos in {path}, which holds images; "
            "name them to have them denoised"
        )
        return images
    return found


def _before_magic(parts: tuple[str, ...]) -> tuple[str, ...]:
    first = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    return parts[:first]


def _without_earlier_results(found: list[_Found], outputs: OutputPlan) -> list[_Found]:
    """Leave out what a folder or a glob names and an earlier run like this one wrote."""
    source_of = {_absolute(outputs.place(one.path, one.below, one.extension)): one for one in found}

    def is_earlier_result(one: _Found) -> bool:
        return source_of.get(_absolute(one.path), one) is not one or _lies_in_results(one, outputs.out)

    kept = [one for one in found if one.is_named or not is_earlier_result(one)]
    if len(kept) < len(found):
        count = len(found) - len(kept)
        _logger.warning(f"{count} {found[0].kind}s are results of an earlier run and are not denoised again")
    return kept


def _lies_in_results(one: _Found, out: Path | None) -> bool:
    """Return True if it lies in the folder of results, and that one inside of the input folder."""
    if out is None:
        return False
    path, folder = _absolute(one.path), _absolute(out)
    root = path.parents[len(one.below.parts) - 1]
    return root in folder.parents and folder in path.parents


def _reference(image: _Found, folder: Path | None) -> Path | None:
    if folder is None:
        return None
    for name in dict.fromkeys([image.below, Path(image.path.name)]):
        candidates = [name, *(name.with_suffix(suffix) for suffix in IMAGE_SUFFIXES)]
        for candidate in candidates:
            if (folder / candidate).is_file():
                return folder / candidate
    raise UserError(f"{folder} has no reference for {image.path}: an image of the name {image.path.stem}")


def _checked(jobs: list[Job], is_video: bool, outputs: OutputPlan) -> list[Job]:
    kind, suffixes = ("video", VIDEO_FORMATS) if is_video else ("image", IMAGE_SUFFIXES)
    inputs = [path for job in jobs for path in (job.source, job.reference) if path is not None]
    sources = {path.resolve(): path for path in inputs}
    writers: dict[Path, Path] = {}
    for job in jobs:
        destination = job.destination.resolve()
        if destination.suffix.lower() not in suffixes:
            if outputs.ext is None and not is_video:
                read_image(job.source)  # another suffix is no help if it cannot be read
            way = "name one that ends in" if job.destination == outputs.out else "name one with --ext:"
            raise UserError(
                f"{job.source}: no {kind} can be written as '{destination.suffix.lower()}'; "
                f"{way} {' '.join(suffixes)}"
            )
        if destination in sources:
            raise UserError(
                f"the result of {job.source} would overwrite the input {sources[destination]}; "
                "name another place with -o, or another --suffix"
            )
        other = writers.setdefault(destination, job.source)
        if other != job.source:
            raise UserError(
                f"{other} and {job.source} would both be written to {job.destination}; "
                f"{_way_apart(other, job.source, suffixes)}"
            )
    return jobs


def _way_apart(first: Path, second: Path, suffixes: Sequence[str]) -> str:
    """Advise how two inputs get results of different names."""
    apart = "denoise them into different folders"
    if _absolute(first).parent != _absolute(second).parent:
        return f"{apart}, or name their common folder as the input"
    own = {path.suffix.lower() for path in (first, second)}
    return f"leave out --ext, or {apart}" if len(own) == 2 and own <= set(suffixes) else apart


def _absolute(path: Path) -> Path:
    """Return the path from the root; links are not followed, since two links are two images or videos."""
    return Path(os.path.abspath(path))  # noqa: PTH100
