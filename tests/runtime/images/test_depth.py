"""The depth of image files, by their headers."""

from __future__ import annotations

import numpy as np
import pytest
from n2b.runtime.images.depth import is_deep
from n2b.runtime.images.image import Image, write_image


@pytest.mark.parametrize(
    ("name", "dtype", "expected"),
    [
        ("a.png", "uint8", False),
        ("a.png", "uint16", True),
        ("a.tif", "uint8", False),
        ("a.tif", "uint16", True),
        ("a.tif", "float32", True),
        ("a.jpg", "uint8", False),
        ("a.webp", "uint8", False),
        ("a.bmp", "uint8", False),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_the_header_says_if_an_image_is_deep(tmp_path, name, dtype, expected, channels):
    write_image(tmp_path / name, Image(np.zeros((5, 7, channels), dtype)))
    assert is_deep(tmp_path / name) == expected


def test_what_cannot_be_read_is_not_deep(tmp_path):
    (tmp_path / "short.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / "short.tif").write_bytes(b"II*\0")
    assert not any(is_deep(tmp_path / name) for name in ("short.png", "short.tif", "missing.png"))
