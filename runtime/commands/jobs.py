"""Which image goes where: nothing is overwritten that is an input, and no two results share a file."""

from __future__ import annotations

import glob
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import UserError
from ..images.image import IMAGE_SUFFIXES
from ..pipelines.job import Job
from ..sources import find_images

_logger = logging.getLogger(__name__)

SUFFIX_BESIDE = "_denoised"  # of results that lie beside their inputs


@dataclass(frozen=True)
class _Found:
    """An image and where it lies below the input that named it."""

    path: Path
    below: Path
    is_named: bool  # not found in a folder or by a glob


def plan_jobs(
    inputs: Sequence[str | Path],
    *,
    out: Path | None = None,
    suffix: str | None = None,
    ext: str | None = None,
    reference: Path | None = None,
) -> list[Job]:
    """What is to be done for the inputs.

    Args:
        inputs: files, folders (with their subfolders), globs.
        out: a folder, in which the structure below an input folder is kept, or for one image a file;
            None: beside each image.
        suffix: goes between name and extension of a result; None: `_denoised` beside the image, else none.
        ext: the extension of the results, such as "png"; None: that of the image.
        reference: a folder of clean images under the same names (the extension may differ).

    Raises:
        UserError: an input does not exist, a result would overwrite an input or another result, a reference
            is missing, or no writer knows the extension.
    """
    images = _find_all(inputs)
    if out is not None and names_a_file(out):
        if len(images) != 1 or not images[0].is_named:
            raise UserError(f"{out} names one file and there are {len(images)} images; name a folder with -o")
        if suffix is not None or ext is not None:
            raise UserError(f"{out} names the file already; leave out --suffix and --ext, or name a folder")
        return _check([Job(images[0].path, out, _reference_of(images[0], reference))])
    images = _without_earlier_results(images, out, suffix, ext)
    return _check(
        [
            Job(image.path, _destination(image, out, suffix, ext), _reference_of(image, reference))
            for image in images
        ]
    )


def _find_all(inputs: Sequence[str | Path]) -> list[_Found]:
    """The images of all inputs, each path once."""
    images: dict[Path, _Found] = {}
    for name in inputs:
        for image in _find(name):
            images.setdefault(absolute(image.path), image)
    return list(images.values())


def _find(name: str | Path) -> list[_Found]:
    path = Path(name).expanduser()
    if path.is_dir():
        root = path
    elif path.exists() or not glob.has_magic(str(path)):
        return [_Found(image, Path(image.name), True) for image in find_images([path])]
    else:
        root = Path(*_before_magic(path.parts))
    return [_Found(image, image.relative_to(root), False) for image in find_images([path])]


def _before_magic(parts: tuple[str, ...]) -> tuple[str, ...]:
    first = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    return parts[:first]


def names_a_file(out: Path) -> bool:
    """Whether a place for results is meant as one file rather than as a folder."""
    return out.suffix.lower() in IMAGE_SUFFIXES and not out.is_dir()


def _destination(image: _Found, out: Path | None, suffix: str | None, ext: str | None) -> Path:
    extension = image.path.suffix if ext is None else f".{ext.lstrip('.')}"
    if extension.lower() not in IMAGE_SUFFIXES:
        raise UserError(
            f"{image.path}: no image can be written as '{extension}'; name one with --ext: "
            f"{' '.join(IMAGE_SUFFIXES)}"
        )
    return place_of_result(image.path, image.below, out, suffix, extension)


def place_of_result(source: Path, below: Path, out: Path | None, suffix: str | None, extension: str) -> Path:
    """Where the result of a picture or video lies.

    Args:
        source: what is denoised.
        below: where it lies below the input that named it; so its result lies below `out`.
        out: a folder; None: that of the source.
        suffix: goes between name and extension; None: `_denoised` beside the source, else none.
        extension: of the result, with its dot.

    Raises:
        UserError: the suffix would make another folder of it.
    """
    if suffix is None:
        suffix = SUFFIX_BESIDE if out is None else ""
    if os.sep in suffix:
        raise UserError(f"a suffix of '{suffix}' has a '{os.sep}'; name the folder with -o")
    folder = source.parent if out is None else out / below.parent
    return folder / f"{source.stem}{suffix}{extension}"


def _without_earlier_results(
    images: list[_Found], out: Path | None, suffix: str | None, ext: str | None
) -> list[_Found]:
    """Leave out what a folder or glob brought up and an earlier run like this one wrote."""
    source_of = {absolute(_destination(image, out, suffix, ext)): image for image in images}

    def is_earlier_result(image: _Found) -> bool:
        return source_of.get(absolute(image.path), image) is not image or _lies_in_results(image, out)

    kept = [image for image in images if image.is_named or not is_earlier_result(image)]
    if len(kept) < len(images):
        _logger.warning(
            f"{len(images) - len(kept)} images are results of an earlier run and are not denoised again"
        )
    return kept


def _lies_in_results(image: _Found, out: Path | None) -> bool:
    """Whether the image is in the results' folder, where that one is inside of the input folder."""
    if out is None:
        return False
    path, folder = absolute(image.path), absolute(out)
    root = path.parents[len(image.below.parts) - 1]
    return root in folder.parents and folder in path.parents


def _reference_of(image: _Found, folder: Path | None) -> Path | None:
    if folder is None:
        return None
    for name in dict.fromkeys([image.below, Path(image.path.name)]):
        candidates = [name, *(name.with_suffix(suffix) for suffix in IMAGE_SUFFIXES)]
        for candidate in candidates:
            if (folder / candidate).is_file():
                return folder / candidate
    raise UserError(f"{folder} has no reference for {image.path}: an image of the name {image.path.stem}")


def _check(jobs: list[Job]) -> list[Job]:
    inputs = [path for job in jobs for path in (job.source, job.reference) if path is not None]
    sources = {path.resolve(): path for path in inputs}
    writers: dict[Path, Path] = {}
    for job in jobs:
        destination = job.destination.resolve()
        if destination in sources:
            raise UserError(
                f"the result of {job.source} would overwrite the input {sources[destination]}; "
                "name another place with -o, or another --suffix"
            )
        other = writers.setdefault(destination, job.source)
        if other != job.source:
            raise UserError(
                f"{other} and {job.source} would both be written to {job.destination}; "
                "denoise them into different folders, or name their common folder as the input"
            )
    return jobs


def absolute(path: Path) -> Path:
    """The path from the root; links are not followed, for two links are two images or videos."""
    return Path(os.path.abspath(path))  # noqa: PTH100
