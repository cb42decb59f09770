"""Which film goes where."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .console import warn
from .errors import UserError
from .image import IMAGE_SUFFIXES
from .jobs import Job, absolute, place_of_result
from .sinks import FILM_FORMATS
from .sources import FILM_SUFFIXES, find_files

_OTHER_FORMAT = ".mkv"  # of the results of films in formats that cannot be written; it holds any sound


def plan_films(inputs: Sequence[str], out: Path | None, suffix: str | None, ext: str | None) -> list[Job]:
    """What is to be done for films; nothing where the inputs name images.

    A folder that holds images is one of images, and its films are left out with a warning.

    Args:
        inputs: files, folders, globs.
        out: a folder, or for one film a file; None: beside each film.
        suffix: goes between name and extension of a result; None: `_denoised` beside the film, else none.
        ext: the extension of the results; None: that of the film where it can be written, else .mkv.

    Raises:
        UserError: films and images in one run, a result that would overwrite a film or another result, or a
            format that cannot be written.
    """
    paths = [Path(name).expanduser() for name in inputs]
    found = {film: below for path in paths for film, below in _films(path).items()}
    if not found:
        return []
    image = next((image for path in paths for image in _images(path)), None)
    if image is not None:
        first = next(iter(found))
        raise UserError(f"films ({first}) and images ({image}) cannot be denoised in one run")
    if out is not None and out.suffix.lower() in FILM_SUFFIXES and not out.is_dir():
        if len(found) > 1:
            raise UserError(f"{out} names one film and there are {len(found)}; name a folder with -o")
        return _check([Job(film, out) for film in found])
    jobs = [Job(film, _destination(film, below, out, suffix, ext)) for film, below in found.items()]
    results = {absolute(job.destination) for job in jobs}
    named = {absolute(path) for path in paths}
    return _check(
        [job for job in jobs if absolute(job.source) in named or absolute(job.source) not in results]
    )


def _films(path: Path) -> dict[Path, Path]:
    """The films of an input, each with where it lies below it."""
    if path.is_file():
        return {path: Path(path.name)} if path.suffix.lower() in FILM_SUFFIXES else {}
    films = _found(path, FILM_SUFFIXES)
    if films and path.is_dir() and _found(path, IMAGE_SUFFIXES):
        warn(f"left out: {len(films)} films in {path}, which holds images; name them to have them denoised")
        return {}
    return {film: film.relative_to(path) if path.is_dir() else Path(film.name) for film in films}


def _images(path: Path) -> list[Path]:
    """The images of an input."""
    if path.is_file():
        return [] if path.suffix.lower() in FILM_SUFFIXES else [path]
    return _found(path, IMAGE_SUFFIXES)


def _found(path: Path, suffixes: tuple[str, ...]) -> list[Path]:
    try:
        return find_files([path], suffixes, "")
    except UserError:  # said, where it matters, when images are looked for
        return []


def _destination(film: Path, below: Path, out: Path | None, suffix: str | None, ext: str | None) -> Path:
    extension = film.suffix if film.suffix.lower() in FILM_FORMATS else _OTHER_FORMAT
    if ext is not None:
        extension = f".{ext.lstrip('.')}"
    return place_of_result(film, below, out, suffix, extension)


def _check(jobs: list[Job]) -> list[Job]:
    sources = {job.source.resolve() for job in jobs}
    writers: dict[Path, Path] = {}
    for job in jobs:
        destination = job.destination.resolve()
        if destination.suffix.lower() not in FILM_FORMATS:
            raise UserError(f"{job.destination}: films are written as {' '.join(FILM_FORMATS)}")
        if destination in sources:
            raise UserError(f"the result of {job.source} would overwrite a film; name another place with -o")
        other = writers.setdefault(destination, job.source)
        if other != job.source:
            raise UserError(f"{other} and {job.source} would both be written to {job.destination}")
    return jobs
