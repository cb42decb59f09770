"""TIFF files larger than the memory are denoised in strips, with the result of the whole."""

from __future__ import annotations

import re
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from n2b.runtime import Denoiser
from n2b.runtime.errors import ImageError, MissingPackageError
from n2b.runtime.images.codecs import exif
from n2b.runtime.images.image import Image, read_image, write_image
from n2b.runtime.images.large_tiff import LargeTiff
from n2b.runtime.images.tiff import writer as tiff_writer
from n2b.runtime.inference import tile_size as sizing
from n2b.runtime.inference.tile_size import DEFAULT_MEMORY_MB, default_memory_mb
from n2b.runtime.pipelines import strips
from n2b.runtime.pipelines.job import Job
from n2b.runtime.pipelines.strips import denoise_by_strips, find_large

tifffile = pytest.importorskip("tifffile")
pytest.importorskip("imagecodecs")

SIZE = 150, 90  # 4 rows of tiles of 64 px with a halo of 13 px


def random_image(*shape: int, dtype: str = "uint8") -> np.ndarray:
    random = np.random.default_rng(0)
    if dtype == "float32":
        return random.random(shape, np.float32)
    return random.integers(0, np.iinfo(dtype).max + 1, shape, dtype)


def by_strips(source: Path, denoiser: Denoiser, strength: float = 1.0) -> np.ndarray:
    result = source.with_name("strips.tif")
    report = denoise_by_strips(Job(source, result), denoiser, strength, lambda _: None)
    pixels = tifffile.imread(result)
    assert (report.height, report.width) == pixels.shape[:2]
    return pixels.reshape(*pixels.shape[:2], -1)


LAYOUTS = {
    "one piece": {},
    "strips": {"rowsperstrip": 7},
    "strips, deflate": {"rowsperstrip": 16, "compression": "zlib", "predictor": True},
    "strips, LZW": {"rowsperstrip": 11, "compression": "lzw"},
    "tiles": {"tile": (32, 48)},
    "tiles, deflate": {"tile": (16, 32), "compression": "zlib", "predictor": True},
    "tiles, LZW, BigTIFF": {"tile": (64, 64), "compression": "lzw", "bigtiff": True},
    "BigTIFF, big-endian": {"bigtiff": True, "byteorder": ">"},
    "strips, big-endian": {"rowsperstrip": 16, "byteorder": ">", "compression": "zlib"},
}


def write_tiff(path: Path, pixels: np.ndarray, **layout: object) -> Path:
    options = {name: layout.pop(name) for name in ("bigtiff", "byteorder") if name in layout}
    with tifffile.TiffWriter(path, **options) as file:
        photometric = "rgb" if pixels.shape[2] >= 3 else "minisblack"
        pixels = pixels if pixels.shape[2] > 1 else pixels[:, :, 0]
        file.write(pixels, **{"photometric": photometric, "metadata": None} | layout)
    return path


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_result_is_that_of_the_whole_image(make_model, tmp_path, layout, dtype, channels):
    pixels = random_image(*SIZE, channels, dtype=dtype)
    source = write_tiff(tmp_path / "large.tif", pixels, **LAYOUTS[layout])
    io = "uint8" if dtype == "uint8" else "float32"
    with Denoiser(make_model("unet", io=io), tile=64, halo_px=13) as denoise:
        assert len(denoise.plan(*SIZE).tiles) == 4 * 2
        np.testing.assert_array_equal(by_strips(source, denoise), denoise(pixels))


@pytest.mark.parametrize("halo_px", [13, 4])
def test_lower_strips_where_the_memory_wants_them_change_nothing(make_model, tmp_path, capsys, halo_px):
    pixels = random_image(400, 70, 3, dtype="float32")
    source = write_tiff(tmp_path / "large.tif", pixels, rowsperstrip=10)
    with Denoiser(make_model("unet", io="float32"), tile=256, halo_px=halo_px) as denoise:
        whole = denoise(pixels)
        denoise_by_strips(Job(source, tmp_path / "x.tif"), denoise, 1.0, lambda _: None, memory_mb=0.55)
    rows = re.search(r"in strips of (\d+) rows", capsys.readouterr().err)
    assert rows is not None
    assert int(rows[1]) <= 80  # 80 rows × 70 px × 12 bytes × 4 = half of 0.55 MB
    difference = np.abs(tifffile.imread(tmp_path / "x.tif") - whole)
    if halo_px == 13:
        assert difference.max() < 1e-5
    else:  # below the receptive radius seams differ, as those of tiles do
        assert difference.max() > 1e-5 and np.quantile(difference, 0.8) < 1e-5


@pytest.mark.parametrize("height", [1, 5, 63, 64, 65, 129])
@pytest.mark.parametrize("tile", [None, 64])
def test_it_is_for_every_height_and_for_models_of_one_tile_size(make_model, tmp_path, height, tile):
    pixels = random_image(height, 70, 3)
    source = write_tiff(tmp_path / "large.tif", pixels, rowsperstrip=10)
    model = make_model("unet", tile=tile, batch=None if tile is None else 2)
    with Denoiser(model, tile=64, halo_px=13) as denoise:
        np.testing.assert_array_equal(by_strips(source, denoise, 0.4), denoise(pixels, 0.4))


def test_a_band_is_any_rows_whatever_the_pieces_of_the_file(tmp_path):
    pixels = random_image(97, 20, 3)
    spans = [(0, 5), (3, 40), (3, 41), (40, 41), (41, 97), (90, 97)]
    for name, layout in LAYOUTS.items():
        large = LargeTiff(write_tiff(tmp_path / "large.tif", pixels, **layout))
        for (top, bottom), band in zip(spans, large.bands(spans), strict=True):
            np.testing.assert_array_equal(band, pixels[top:bottom], err_msg=name)


@pytest.mark.parametrize("tile", [None, (64, 64)])
def test_jpeg_inside_a_tiff_is_read_as_rgb(tmp_path, tile):
    y, x = np.mgrid[:128, :64] / 128
    pixels = np.rint(255 * np.stack([y, x, 1 - y], axis=2)).astype(np.uint8)
    source = write_tiff(tmp_path / "large.tif", pixels, compression="jpeg", tile=tile)
    (band,) = LargeTiff(source).bands([(0, 128)])
    np.testing.assert_allclose(band.astype(int), pixels, atol=12)


class TestWhatTravels:
    def test_profile_resolution_and_description(self, make_model, tmp_path):
        profile = bytearray(200)
        profile[16:20], profile[36:40] = b"RGB ", b"acsp"
        geo = (33550, "d", 3, (0.5, 0.5, 0.0), True)  # the size of a pixel on the ground
        source = write_tiff(
            tmp_path / "large.tif", random_image(*SIZE, 3), iccprofile=bytes(profile), resolution=(300, 200),
            resolutionunit="inch", description="a scan", datetime="2026:01:02 03:04:05", software="scanner",
            extratags=[geo, (274, "H", 1, 6, True)],
        )  # fmt: skip
        with Denoiser(make_model("negative"), tile=64) as denoise:
            by_strips(source, denoise)
        with tifffile.TiffFile(tmp_path / "strips.tif") as file:
            tags = {tag.code: tag.value for tag in file.pages.first.tags}
        assert tags[34675] == bytes(profile)
        assert [tags[tag] for tag in (282, 283, 296)] == [(300, 1), (200, 1), 2]
        assert [tags[tag] for tag in (270, 305, 306)] == ["a scan", "scanner", "2026:01:02 03:04:05"]
        assert (tags[33550], tags[274]) == ((0.5, 0.5, 0.0), 6)

    @pytest.mark.parametrize("is_big", [False, True])
    def test_exif_and_gps(self, make_model, tmp_path, monkeypatch, is_big):
        exposure = exif.Entry(5, 1, struct.pack("<II", 1, 8))
        block = exif.write_block({34665: {33434: exposure}, 34853: {1: exif.Entry(2, 2, b"N\0")}}, "<")
        write_image(tmp_path / "large.tif", Image(random_image(*SIZE, 3), exif=block))
        if is_big:
            monkeypatch.setattr(tiff_writer, "LARGEST_TIFF_BYTES", 1000)
        with Denoiser(make_model("negative"), tile=64) as denoise:
            by_strips(tmp_path / "large.tif", denoise)
        with tifffile.TiffFile(tmp_path / "strips.tif") as file:
            assert file.is_bigtiff == is_big
            assert file.pages.first.tags[34665].value["ExposureTime"] == (1, 8)
            assert file.pages.first.tags[34853].value["GPSLatitudeRef"] == "N"

    @pytest.mark.parametrize("extra", ["assocalpha", "unassalpha"])
    def test_alpha_as_in_memory(self, make_model, tmp_path, extra):
        pixels = random_image(*SIZE, 4)
        if extra == "assocalpha":
            pixels[..., :3] = np.minimum(pixels[..., :3], pixels[..., 3:])
        source = write_tiff(tmp_path / "large.tif", pixels, extrasamples=[extra], rowsperstrip=9)
        image = read_image(source)
        with Denoiser(make_model("unet"), tile=64, halo_px=13) as denoise:
            result = by_strips(source, denoise)
            np.testing.assert_array_equal(result[..., :3], denoise(image.pixels))
        np.testing.assert_array_equal(result[..., 3], image.alpha)

    def test_a_zero_that_is_white_becomes_one_that_is_black(self, make_model, tmp_path):
        pixels = random_image(*SIZE, 1)
        source = write_tiff(tmp_path / "large.tif", pixels, photometric="miniswhite")
        with Denoiser(make_model("identity"), tile=64) as denoise:
            np.testing.assert_array_equal(by_strips(source, denoise), 255 - pixels)


class TestWhen:
    def test_picture_and_result_exceed_the_memory(self, tmp_path):
        write_image(tmp_path / "a.tif", Image(random_image(1000, 1000, 3)))
        write_image(tmp_path / "b.png", Image(random_image(1000, 1000, 3)))
        (tmp_path / "c.tif").write_bytes(b"")
        jobs = [Job(tmp_path / name, tmp_path / "x.tif") for name in ("a.tif", "b.png", "c.tif", "d.tif")]
        assert find_large(jobs, 5.9) == jobs[:1]
        assert find_large(jobs, 6.0) == []

    def test_half_of_the_free_memory_is_allowed_within_reason(self, monkeypatch):
        for available, allowed in ((12e6, 6), (9e12, DEFAULT_MEMORY_MB), (None, DEFAULT_MEMORY_MB)):
            monkeypatch.setattr(sizing, "available_bytes", lambda: available)  # noqa: B023
            assert default_memory_mb() == allowed

    def test_without_tifffile_its_extra_is_named(self, tmp_path, monkeypatch, capsys):
        write_image(tmp_path / "a.tif", Image(random_image(1000, 1000, 3)))
        jobs = [Job(tmp_path / "a.tif", tmp_path / "x.tif")]
        monkeypatch.setitem(sys.modules, "tifffile", None)
        assert find_large(jobs, 2000) == []
        monkeypatch.setattr(strips, "available_bytes", lambda: 11e6)
        with pytest.raises(MissingPackageError, match=r"noise2blur\[large\]"):
            find_large(jobs, 1)
        monkeypatch.setattr(strips, "available_bytes", lambda: 13e6)
        assert find_large(jobs, 1) == []
        assert "held in memory whole and not in strips, since tifffile is not" in capsys.readouterr().err


class TestFailures:
    def left(self, folder: Path) -> list[str]:
        return sorted(path.name for path in folder.iterdir())

    @pytest.mark.parametrize("layout", ["strips, deflate", "one piece", "tiles, LZW, BigTIFF"])
    def test_a_file_that_is_cut_short_is_named_and_leaves_nothing(self, make_model, tmp_path, layout):
        source = write_tiff(tmp_path / "large.tif", random_image(*SIZE, 3), **LAYOUTS[layout])
        data = source.read_bytes()
        source.write_bytes(data[: len(data) // 2])
        before = self.left(tmp_path)
        model = make_model("negative", name="m/model.onnx")
        with Denoiser(model, tile=64) as denoise, pytest.raises(ImageError, match=r"large\.tif"):
            by_strips(source, denoise)
        assert self.left(tmp_path) == sorted([*before, "m"])

    @pytest.mark.parametrize(
        ("options", "reason"),
        [
            (
                {"photometric": "palette", "colormap": np.zeros((3, 256), np.uint16)},
                "be read in parts",
            ),
            ({"photometric": "separated"}, "another colour space"),
            ({"photometric": "rgb", "planarconfig": "separate"}, "be read in parts"),
        ],
    )
    def test_kinds_that_are_not_read_are_refused(self, make_model, tmp_path, options, reason):
        pixels = random_image(*SIZE, {"separated": 4, "rgb": 3, "palette": 1}[options["photometric"]])
        if "planarconfig" in options:
            tifffile.imwrite(tmp_path / "large.tif", pixels.transpose(2, 0, 1), **options)
        else:
            write_tiff(tmp_path / "large.tif", pixels, **options)
        source = tmp_path / "large.tif"
        with Denoiser(make_model("negative"), tile=64) as denoise, pytest.raises(ImageError, match=reason):
            by_strips(source, denoise)

    def test_other_formats_of_results_are_refused(self, make_model, tmp_path):
        source = write_tiff(tmp_path / "large.tif", random_image(*SIZE, 3))
        with (
            Denoiser(make_model("negative"), tile=64) as denoise,
            pytest.raises(ImageError, match=r"--ext tif"),
        ):
            denoise_by_strips(Job(source, tmp_path / "x.png"), denoise, 1.0, lambda _: None)


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_big_tiff_is_written_beyond_4_gb(tmp_path, monkeypatch, order):
    pixels = random_image(300, 50, 3, dtype="uint16")
    monkeypatch.setattr(tiff_writer, "LARGEST_TIFF_BYTES", 1000)
    described = tiff_writer.TiffInfo(pixels.shape, pixels.dtype, order=order)
    with open(tmp_path / "big.tif", "wb") as file:
        tiff_writer.write_bands(file, described, np.array_split(pixels, 7))
    data = (tmp_path / "big.tif").read_bytes()
    assert struct.unpack(order + "2sH", data[:4]) == (b"II" if order == "<" else b"MM", 43)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "big.tif"), pixels)
    np.testing.assert_array_equal(read_image(tmp_path / "big.tif").pixels, pixels)
