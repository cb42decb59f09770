"""Pixels, colour profiles and EXIF blocks to test images with."""

import numpy as np
import PIL.Image
import PIL.ImageCms

RGB_PROFILE = PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()
GREY_PROFILE = RGB_PROFILE[:16] + b"GRAY" + RGB_PROFILE[20:]


def random_pixels(height, width, channels, dtype, seed=0):
    rng = np.random.default_rng(seed)
    if dtype == "float32":
        return rng.random((height, width, channels), np.float32)
    return rng.integers(0, np.iinfo(dtype).max, (height, width, channels), dtype, endpoint=True)


def make_exif(**tags):
    block = PIL.Image.Exif()
    block[271] = tags.get("make", "a camera")
    block[274] = tags.get("orientation", 1)
    block.get_ifd(34665)[33434] = 0.125  # exposure time
    block.get_ifd(34853)[1] = "N"
    return block.tobytes().removeprefix(b"Exif\0\0")


def read_tags(block):
    exif = PIL.Image.Exif()
    exif.load(b"Exif\0\0" + block)
    return exif[271], exif[274], float(exif.get_ifd(34665)[33434]), exif.get_ifd(34853)[1]
