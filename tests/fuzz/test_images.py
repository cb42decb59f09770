"""A damaged image is read as another program reads it, or refused in one line, whole and in strips alike.

N2B_FUZZ_COUNT sets the number of damaged files of each format, N2B_FUZZ_SEED another series of them.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import numpy as np
import pytest
from n2b.runtime.errors import ImageError
from n2b.runtime.images.codecs import exif
from n2b.runtime.images.decode import turn_upright, white
from n2b.runtime.images.image import Image, read_image
from n2b.runtime.images.large_tiff import LargeTiff

from . import mutations, reference, seeds

COUNT = int(os.environ.get("N2B_FUZZ_COUNT", "500"))
SEED = os.environ.get("N2B_FUZZ_SEED", "")

FORMATS: dict[str, Callable[[], Iterator[bytes]]] = {
    "png": seeds.png,
    "jpg": seeds.jpeg,
    "webp": seeds.webp,
    "bmp": seeds.bmp,
    "tiff uint8": lambda: seeds.tiff("uint8"),
    "tiff uint16": lambda: seeds.tiff("uint16"),
    "tiff float32": lambda: seeds.tiff("float32"),
    "bigtiff": lambda: seeds.tiff("uint8", bigtiff=True),
}
TOLERANCE = {"jpg": 3, "webp": 0, "bmp": 8}  # 5 bits are not rounded alike


@pytest.mark.timeout(3000)
@pytest.mark.parametrize("form", FORMATS)
def test_a_damaged_image_is_read_as_others_read_it_or_refused(form, tmp_path):
    logging.disable(logging.CRITICAL)
    try:
        whole = list(FORMATS[form]())
        path = tmp_path / f"a.{form.split()[0].removeprefix('big')}"
        for number, data in enumerate(whole):
            path.write_bytes(data)
            assert read_image(path).warnings == (), number
            _check(path, data, form)
        wrong = []
        for number in range(COUNT):
            random = Random(f"{form}{SEED}{number}")
            data = mutations.damage(random.choice(whole), random)
            path.write_bytes(data)
            try:
                _check(path, data, form)
            except Exception as error:
                (tmp_path / f"wrong-{number}{path.suffix}").write_bytes(data)
                wrong.append(f"{number}: {type(error).__name__} {error}"[:300])
        assert not wrong, "\n".join([str(tmp_path), *wrong])
    finally:
        logging.disable(logging.NOTSET)


def _check(path: Path, data: bytes, form: str) -> None:
    """Raise AssertionError, or what a reader raised, unless all readers agree."""
    image, in_strips = _read(path), _read_in_strips(path) if "tiff" in form else None
    if image is None and in_strips is None:
        return
    theirs = reference.decode(data, form)
    if image is not None and not image.warnings:
        _compare(_channels(image), theirs, form, image)
    if in_strips is not None:
        large, pixels = in_strips
        if image is not None and not (image.warnings or large.header.warnings()):
            turned = turn_upright(pixels, _orientation(large)).reshape(_channels(image).shape)
            assert np.array_equal(turned, _channels(image), equal_nan=True), "strips differ from the whole"
        _compare(pixels, theirs, form, None)


def _compare(ours: np.ndarray, theirs: np.ndarray | None, form: str, image: Image | None) -> None:
    """Compare with another program, as far as it reads such a file."""
    if theirs is None:
        return
    if image is not None and theirs.shape != ours.shape and theirs.shape[:2] == ours.shape[1::-1]:
        return  # turned upright
    if theirs.shape[2] == ours.shape[2] - 1 and (ours[..., -1] == white(ours.dtype)).all():
        ours = ours[..., :-1]  # opaque alpha, of which only a flag speaks
    if theirs.shape[2] != ours.shape[2]:
        theirs = np.broadcast_to(theirs, ours.shape) if theirs.shape[2] == 1 else theirs
        ours = np.broadcast_to(ours, theirs.shape) if ours.shape[2] == 1 else ours
    assert ours.shape == theirs.shape, f"{ours.shape} is not {theirs.shape}"
    assert ours.dtype == theirs.dtype, f"{ours.dtype} is not {theirs.dtype}"
    if ours.dtype == np.float32:
        assert np.array_equal(ours, theirs, equal_nan=True), "differs"
        return
    difference = np.abs(ours.astype(int) - theirs).max(initial=0)
    assert difference <= TOLERANCE.get(form, 0), f"differs by {difference}"


def _read(path: Path) -> Image | None:
    try:
        return read_image(path)
    except ImageError as error:
        assert "\n" not in str(error)
        assert str(path) in str(error)
        return None


def _read_in_strips(path: Path) -> tuple[LargeTiff, np.ndarray] | None:
    try:
        large = LargeTiff(path)
        height = large.info.shape[0]
        spans = [(top, min(top + 9, height)) for top in range(0, height, 9)]
        return large, np.concatenate([band.copy() for band in large.bands(spans)])
    except ImageError as error:
        assert "\n" not in str(error)
        assert str(path) in str(error)
        return None


def _orientation(large: LargeTiff) -> int:
    return 1 if large.header.exif is None else exif.orientation(large.header.exif)


def _channels(image: Image) -> np.ndarray:
    return image.pixels if image.alpha is None else np.dstack([image.pixels, image.alpha])
