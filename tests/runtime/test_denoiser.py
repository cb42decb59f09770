"""The Denoiser keeps shape, dtype and alpha; tiles show nowhere; memory keeps its bounds."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from n2b.runtime import Denoiser
from n2b.runtime.errors import EnvironmentFault, ImageError, ModelError, UserError
from n2b.runtime.system.memory import resident_bytes

from .conftest import UNET_RADIUS_PX, UNET_STRIDE

DTYPES = ("uint8", "uint16", "float32")
SHAPES = ((7, 5), (7, 5, 1), (7, 5, 3), (7, 5, 4))


def random_image(*shape: int, dtype: str = "uint8", seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    if dtype == "float32":
        return random.random(shape, np.float32)
    return random.integers(0, np.iinfo(dtype).max + 1, shape, dtype)


def negative(image: np.ndarray) -> np.ndarray:
    return 1 - image if image.dtype == np.float32 else np.iinfo(image.dtype).max - image


class TestImages:
    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("shape", SHAPES)
    def test_shape_and_dtype_are_kept_and_alpha_is_untouched(self, make_model, shape, dtype):
        image = random_image(*shape, dtype=dtype)
        expected = negative(image)
        if shape[2:] == (4,):
            expected[..., 3] = image[..., 3]
        before = image.copy()
        with Denoiser(make_model("negative", io="float32")) as denoise:
            result = denoise(image)
        assert result.shape == shape and result.dtype == image.dtype
        np.testing.assert_allclose(result, expected, rtol=0, atol=1e-6 if dtype == "float32" else 0)
        np.testing.assert_array_equal(image, before)
        assert not np.shares_memory(result, image)

    @pytest.mark.parametrize("shape", SHAPES)
    def test_8_bit_models_take_8_bit_images(self, make_model, shape):
        image = random_image(*shape)
        with Denoiser(make_model("negative")) as denoise:
            np.testing.assert_array_equal(denoise(image)[..., :3], negative(image)[..., :3])

    @pytest.mark.parametrize("dtype", ["uint16", "float32"])
    def test_8_bit_models_refuse_deeper_images_and_name_the_way(self, make_model, dtype):
        with (
            Denoiser(make_model()) as denoise,
            pytest.raises(ImageError, match=rf"8-bit .* {dtype}; .*n2b-export .* --io float32"),
        ):
            denoise(random_image(4, 4, 3, dtype=dtype))

    def test_grey_is_run_as_three_channels_and_averaged(self, make_model):
        with Denoiser(make_model("redden")) as denoise:  # +51, +26, +0 of 255
            assert denoise(np.full((4, 4), 100, np.uint8)).tolist() == [[126] * 4] * 4
            assert denoise(np.full((4, 4, 3), 100, np.uint8))[0, 0].tolist() == [151, 126, 100]

    def test_views_and_reversed_images_are_taken(self, make_model):
        image = random_image(20, 30, 3)[::-2, 3:17]
        with Denoiser(make_model("negative"), tile=8) as denoise:
            np.testing.assert_array_equal(denoise(image), negative(image))

    @pytest.mark.parametrize(
        ("image", "reason"),
        [
            ([[1, 2]], "numpy array, not list"),
            (np.zeros((4, 4, 2), np.uint8), r"shape \(4, 4, 2\) is not an image"),
            (np.zeros(4, np.uint8), "is not an image"),
            (np.zeros((0, 4, 3), np.uint8), "has no pixels"),
            (np.zeros((4, 4, 3), np.float64), "float64 cannot be denoised; give uint8, uint16 or float32"),
            (np.full((4, 4, 3), 200, np.float32), r"in \[0, 1\] and this one reaches 200"),
            (np.full((4, 4, 3), np.nan, np.float32), "NaN or infinite"),
            (np.full((4, 4), -np.inf, np.float32), "NaN or infinite"),
        ],
    )
    def test_what_is_no_image_is_refused(self, make_model, image, reason):
        with (
            Denoiser(make_model(io="float32")) as denoise,
            pytest.raises(ImageError, match=reason),
        ):
            denoise(image)


class TestStrength:
    @pytest.mark.parametrize("dtype", DTYPES)
    def test_none_is_the_image_and_full_is_the_model(self, make_model, dtype):
        image = random_image(9, 7, 3, dtype=dtype)
        with Denoiser(make_model("negative", io="float32")) as denoise:
            np.testing.assert_array_equal(denoise(image, 0), image)
            np.testing.assert_array_equal(denoise(image, 1.0), denoise(image))

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_between_them_it_mixes(self, make_model, dtype):
        image = random_image(9, 7, 4, dtype=dtype)
        expected = image.astype(np.float64) + 0.25 * (negative(image).astype(np.float64) - image)
        expected[..., 3] = image[..., 3]
        with Denoiser(make_model("negative", io="float32"), tile=4) as denoise:
            result = denoise(image, 0.25)
        tolerance = 1e-6 if dtype == "float32" else 0.51
        np.testing.assert_allclose(result.astype(np.float64), expected, rtol=0, atol=tolerance)

    @pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan")])
    def test_out_of_range_is_refused(self, make_model, strength):
        with Denoiser(make_model()) as denoise, pytest.raises(UserError, match="out of range"):
            denoise(random_image(4, 4, 3), strength)


class TestTiles:
    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        height=st.integers(1, 150),
        width=st.integers(1, 150),
        more=st.integers(0, 20),
        batch=st.integers(1, 3),
    )
    def test_tiled_equals_whole(self, make_model, height, width, more, batch):
        model = make_model("unet")
        image = random_image(height, width, 3)
        tile = 2 * UNET_RADIUS_PX + 2 * UNET_STRIDE - 2 + more * UNET_STRIDE
        tile -= tile % UNET_STRIDE
        with Denoiser(model, tile=0) as whole, Denoiser(model, tile=tile, batch=batch) as tiled:
            difference = tiled(image).astype(int) - whole(image)
        assert abs(difference).max() <= 1

    def test_tiled_equals_whole_on_a_long_image_in_float(self, make_model):
        model = make_model("unet", io="float32")
        image = random_image(2500, 45, 3, dtype="float32")
        with Denoiser(model, tile=0) as whole, Denoiser(model, tile=48) as tiled:
            assert len(tiled.plan(2500, 45).tiles) > 100
            np.testing.assert_allclose(tiled(image), whole(image), rtol=0, atol=1e-6)

    def test_too_small_a_halo_shows(self, make_model):
        model = make_model("unet")
        image = random_image(120, 120, 3)
        with Denoiser(model, tile=0) as whole, Denoiser(model, tile=32, halo_px=0) as tiled:
            assert abs(tiled(image).astype(int) - whole(image)).max() > 1

    @pytest.mark.parametrize("size", [(1, 1), (5, 40), (64, 64), (65, 30), (200, 130)])
    @pytest.mark.parametrize("batch", [1, 3])
    def test_a_model_of_one_tile_size_takes_any_image(self, make_model, size, batch):
        image = random_image(*size, 3)
        fixed = make_model("unet", tile=(64, 48), batch=batch, name="fixed.onnx")
        free = make_model("unet", name="free.onnx")
        with Denoiser(fixed) as tiled:
            assert tiled.tile_hw == (64, 48) and tiled.batch == batch
            canvas = tiled.plan(*size).canvas_hw
            result = tiled(image)
        padded = np.pad(image, ((0, canvas[0] - size[0]), (0, canvas[1] - size[1]), (0, 0)), mode="edge")
        with Denoiser(free, tile=0) as whole:
            expected = whole(padded)[: size[0], : size[1]]
        assert abs(result.astype(int) - expected).max() <= 1

    def test_another_tile_than_the_models_is_refused_with_the_way_out(self, make_model):
        model = make_model("unet", tile=64, batch=2)
        for asked in (32, 0):
            with pytest.raises(UserError, match=r"tiles of 64×64 px only, not \d+; n2b-export --dynamic"):
                Denoiser(model, tile=asked)
        with pytest.raises(UserError, match="takes 2 tiles at once, not 1; n2b-export --dynamic"):
            Denoiser(model, batch=1)
        Denoiser(model, tile=64, batch=2).close()

    def test_tiles_that_do_not_fit_the_network_name_one_that_does(self, make_model):
        model = make_model("unet")
        with pytest.raises(UserError, match="a multiple of 4, such as 48"):
            Denoiser(model, tile=47)
        with pytest.raises(UserError, match=r"all overlap at 13 px a side; use 32 px or more, or .* 8 px"):
            Denoiser(model, tile=20)
        Denoiser(model, tile=20, halo_px=8).close()

    @pytest.mark.parametrize(
        "sizes",
        [{"tile": -1}, {"tile": "big"}, {"halo_px": -1}, {"batch": 0}, {"max_memory": 0},
         {"tile": 0, "max_memory": 100}],
    )  # fmt: skip
    def test_impossible_sizes_are_refused(self, make_model, sizes):
        with pytest.raises(UserError):
            Denoiser(make_model(), **sizes)

    def test_progress_reaches_one(self, make_model):
        heard: list[float] = []
        with Denoiser(make_model(), tile=16, batch=3) as denoise:
            denoise(random_image(40, 40, 3), on_progress=heard.append)
        assert heard == sorted(heard) and len(heard) > 2 and heard[-1] == 1

    def test_plans_are_made_once_a_size(self, make_model):
        with Denoiser(make_model(), tile=16) as denoise:
            assert denoise.plan(40, 50) is denoise.plan(40, 50)
            assert denoise.plan(40, 50) != denoise.plan(50, 40)


class TestLifetime:
    def test_closed_once_or_twice_it_takes_no_more_images(self, make_model):
        denoise = Denoiser(make_model())
        denoise.close()
        denoise.close()
        with pytest.raises(UserError, match="closed; make a new one"):
            denoise(random_image(4, 4, 3))

    def test_a_missing_or_damaged_model_is_refused(self, tmp_path):
        with pytest.raises(ModelError, match="there is no model"):
            Denoiser(tmp_path / "missing.onnx")
        (tmp_path / "model.onnx").write_bytes(b"no model")
        with pytest.raises(ModelError, match="cannot be loaded"):
            Denoiser(tmp_path)

    def test_a_failing_device_leaves_the_denoiser_usable(self, make_model, monkeypatch):
        with Denoiser(make_model("negative"), tile=16) as denoise:
            backend = denoise._backend
            assert backend is not None

            def fail(_: np.ndarray) -> np.ndarray:
                raise EnvironmentFault("out of memory")

            with monkeypatch.context() as patch:
                patch.setattr(backend, "run", fail)
                with pytest.raises(EnvironmentFault):
                    denoise(random_image(4, 4, 3))
            image = random_image(40, 40, 3)
            np.testing.assert_array_equal(denoise(image), negative(image))

    def test_threads_share_one(self, make_model):
        images = [random_image(40 + 3 * i, 50 - 2 * i, 3, seed=i) for i in range(6)]
        wrong: list[int] = []
        with Denoiser(make_model("negative"), tile=16) as denoise:

            def work(index: int) -> None:
                for _ in range(20):
                    if not np.array_equal(denoise(images[index]), negative(images[index])):
                        wrong.append(index)

            threads = [threading.Thread(target=work, args=(i,)) for i in range(len(images))]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert not wrong


@pytest.mark.skipif(resident_bytes() is None, reason="only Linux tells a process's memory")
class TestMemory:
    # 64 maps of float32 over 2 megapixels are 512 MB, and the network holds about two such sets
    _GROWTH = """
import sys, threading, time
import numpy as np
import onnxruntime  # its libraries are not the model's memory
from n2b.runtime import Denoiser
from n2b.runtime.system.memory import resident_bytes
before = peak = resident_bytes()
done = threading.Event()
def watch():
    global peak
    while not done.wait(0.002):
        peak = max(peak, resident_bytes())
watcher = threading.Thread(target=watch)
watcher.start()
with Denoiser(sys.argv[1], **eval(sys.argv[2])) as denoise:
    denoise(np.zeros((1000, 2000, 3), np.uint8))
done.set()
watcher.join()
print((peak - before) / 1e6)
"""

    def growth_mb(self, model: Path, **options: object) -> float:
        command = [sys.executable, "-c", self._GROWTH, str(model), repr(options)]
        return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    def test_the_working_set_stays_within_the_budget(self, make_model):
        model = make_model("wide")
        images_mb = 2 * 6
        assert self.growth_mb(model, tile=0, backend="onnxruntime") > 500
        assert self.growth_mb(model, max_memory=100, backend="onnxruntime") < 100 + images_mb

    def test_too_little_memory_is_refused_with_the_way_out(self, make_model):
        with pytest.raises(UserError, match="more memory than allowed; raise --max-memory"):
            Denoiser(make_model("wide", default_halo_px=200), max_memory=40)

    def test_a_tile_that_was_asked_for_has_to_fit_the_memory(self, make_model):
        model = make_model("wide")
        with pytest.raises(UserError, match=r"tiles of 2000×2000 px need \d+ MB; raise --max-memory"):
            Denoiser(model, tile=2000, max_memory=200)
        Denoiser(model, tile=200, max_memory=200).close()

    def test_a_larger_batch_makes_smaller_tiles(self, make_model):
        model = make_model("wide")
        with Denoiser(model, max_memory=200) as one, Denoiser(model, max_memory=200, batch=4) as four:
            assert 4 * four.tile_hw[0] ** 2 < 1.3 * one.tile_hw[0] ** 2


class TestArgumentsOfAnyKind:
    """Arguments passed by mistake end in the project's own errors."""

    @pytest.mark.parametrize("arguments", [
        {"max_memory": "1GB"}, {"max_memory": float("nan")}, {"max_memory": True},
        {"batch": 1.5}, {"batch": "2"},
        {"tile": 1.5}, {"tile": "large"}, {"tile": None}, {"halo_px": "8"}, {"halo_px": 1.5},
    ])  # fmt: skip
    def test_a_size_that_is_none_is_refused(self, make_model, arguments):
        (value,) = arguments.values()
        with pytest.raises(UserError, match=re.escape(repr(value)) + ".* is not possible"):
            Denoiser(make_model("identity"), **arguments)

    def test_numpy_numbers_are_numbers(self, make_model):
        sizes = {"tile": np.int64(64), "batch": np.int32(1), "max_memory": np.float32(500)}
        with Denoiser(make_model("identity"), **sizes) as denoise:
            denoise(np.zeros((8, 8, 3), np.uint8), np.float32(0.5))  # pyright: ignore[reportArgumentType]

    @pytest.mark.parametrize("strength", ["a", None, float("nan"), 1.1, -0.1, True])
    def test_a_strength_that_is_none_is_refused(self, make_model, strength):
        refused = pytest.raises(UserError, match=r"a strength of .* is out of range")
        with Denoiser(make_model("identity")) as denoise, refused:
            denoise(np.zeros((8, 8, 3), np.uint8), strength)

    def test_what_cannot_be_written_is_refused(self, make_model):
        image = np.zeros((8, 8, 3), np.uint8)
        sealed = image.copy()
        sealed.flags.writeable = False
        with Denoiser(make_model("identity")) as denoise:
            with pytest.raises(UserError, match="out is read-only"):
                denoise(image, out=sealed)
            with pytest.raises(UserError, match="out is a numpy array, not list"):
                denoise(image, out=image.tolist())  # pyright: ignore[reportArgumentType]
            with pytest.raises(ImageError, match="not list"):
                denoise(image.tolist())  # pyright: ignore[reportArgumentType]

    def test_its_repr_says_what_runs_where(self, make_model):
        with Denoiser(make_model("identity"), backend="onnxruntime", device="cpu", tile=64) as denoise:
            assert "onnxruntime on cpu in fp32, tiles of 64×64 px" in repr(denoise)
        assert repr(denoise).endswith("closed>")


def test_dir_shows_the_api_and_nothing_else():
    import n2b.runtime

    assert dir(n2b.runtime) == sorted(n2b.runtime.__all__)
    assert all(getattr(n2b.runtime, name) is not None for name in n2b.runtime.__all__)
