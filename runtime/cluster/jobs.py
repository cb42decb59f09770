"""Plan which image by address is written where."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from ..commands.jobs import find_images_below
from ..commands.settings import OutputPlan
from ..errors import UserError
from ..images.image import IMAGE_SUFFIXES
from .storage import address_of, find_remote, is_remote
from .worker import Task


def plan_remote(inputs: Sequence[str], outputs: OutputPlan) -> list[Task]:
    """Plan what is done for inputs, or with a folder of results, of which some are addresses.

    Raises:
        UserError: nothing is found, a result would overwrite an input or another result, or an option is for
            local files only.
    """
    if outputs.out is None:
        raise UserError(
            f"{inputs[0]}: name the folder of the results with -o s3://BUCKET/FOLDER, or a local one"
        )
    if outputs.reference is not None:
        raise UserError("--reference is for local images; leave it out")
    if outputs.out.suffix.lower() in IMAGE_SUFFIXES:
        raise UserError(f"{outputs.out} names a file; with addresses, name a folder")
    out = address_of(outputs.out) if is_remote(outputs.out) else str(outputs.out.absolute())
    tasks: dict[str, Task] = {}
    sources = set()
    for name in inputs:
        for source, below in _find(name):
            if source in sources:
                continue
            sources.add(source)
            place = outputs.place(Path(below), Path(below), below.suffix)
            destination = f"{out}/{place.relative_to(outputs.out).as_posix()}"
            if place.suffix.lower() not in IMAGE_SUFFIXES:
                raise UserError(
                    f"{source}: no image can be written as '{place.suffix}'; "
                    f"name one with --ext: {' '.join(IMAGE_SUFFIXES)}"
                )
            if destination in tasks:
                raise UserError(
                    f"{tasks[destination].source} and {source} would both be written to {destination}; "
                    "denoise them into different folders"
                )
            tasks[destination] = Task(len(tasks), source, destination)
    if overwritten := sources & tasks.keys():
        raise UserError(
            f"the result would overwrite the input {min(overwritten)}; name another folder with -o"
        )
    return list(tasks.values())


def _find(name: str) -> list[tuple[str, PurePosixPath]]:
    if is_remote(name):
        return list(find_remote(name, IMAGE_SUFFIXES))
    return [
        (str(path.absolute()), PurePosixPath(below.as_posix())) for path, below in find_images_below([name])
    ]
