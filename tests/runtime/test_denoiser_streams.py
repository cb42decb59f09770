"""Streams, asyncio, the order of channels, memory that runs out, and the end of a Denoiser."""

from __future__ import annotations

import asyncio
import gc
import itertools
import re
import threading
import weakref
from contextlib import closing

import numpy as np
import pytest
from n2b.runtime import Denoiser, denoiser
from n2b.runtime.errors import ImageError, OutOfMemory, UserError
from n2b.runtime.frame import Frame
from n2b.runtime.images.convert import from_float

from .inference.test_executor import Overlapping, Plain


def random_image(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


@pytest.fixture
def use_backend(monkeypatch):
    """use_backend(backend): what the next Denoiser opens."""

    def use(backend: Plain) -> None:
        monkeypatch.setattr(denoiser, "open_backend", lambda *_, **__: backend)
        monkeypatch.setattr(denoiser, "find_model", lambda _: None)

    return use


class TestStream:
    @pytest.mark.parametrize("batch", [1, 4])
    def test_results_come_in_order_whatever_the_sizes(self, make_model, batch):
        images = [random_image(10 + 7 * (i % 3), 20, 3, seed=i) for i in range(11)]
        with Denoiser(make_model("negative"), tile=16, batch=batch) as denoise:
            results = list(denoise.stream(images))
        assert len(results) == len(images)
        for image, result in zip(images, results, strict=True):
            np.testing.assert_array_equal(result, 255 - image)

    def test_frames_keep_what_they_say_of_themselves(self, make_model):
        frames = [
            Frame(random_image(8, 8, 3, seed=i), "camera", i, 40 * i, connection=i // 2) for i in range(4)
        ]
        with Denoiser(make_model("negative")) as denoise:
            results = list(denoise.stream(frames))
        for frame, result in zip(frames, results, strict=True):
            np.testing.assert_array_equal(result.pixels, 255 - frame.pixels)
            assert (result.index, result.timestamp_ns) == (frame.index, frame.timestamp_ns)
            assert result.connection == frame.connection

    def test_small_images_share_a_batch(self, use_backend):
        backend = Plain()
        use_backend(backend)
        with Denoiser(tile=8, batch=4) as denoise:
            assert len(list(denoise.stream(random_image(8, 8, 3) for _ in range(10)))) == 10
        assert [shape[0] for shape in backend.batches] == [4, 4, 2]

    def test_reading_and_using_go_on_while_one_is_denoised(self, use_backend):
        class Waits(Plain):
            def run(self, batch: np.ndarray) -> np.ndarray:
                if len(self.batches) == 1:
                    assert read_third.wait(10) and used_first.wait(10)
                return super().run(batch)

        read_third, used_first = threading.Event(), threading.Event()

        def images():
            for i in range(3):
                if i == 2:
                    read_third.set()
                yield random_image(8, 8, 3)

        use_backend(Waits())
        with Denoiser(tile=8) as denoise, closing(denoise.stream(images())) as results:
            next(results)
            used_first.set()
            assert len(list(results)) == 2

    def test_an_endless_stream_can_be_left(self, make_model):
        threads = threading.active_count()
        closed = threading.Event()

        def images():
            try:
                while True:
                    yield random_image(8, 8, 3)
            finally:
                closed.set()

        with Denoiser(make_model()) as denoise:
            with closing(denoise.stream(images())) as results:
                next(results)
            assert closed.is_set()
            assert threading.active_count() == threads

    def test_a_bad_image_ends_it_after_those_before(self, make_model):
        with Denoiser(make_model()) as denoise:
            results = denoise.stream([random_image(8, 8, 3), np.zeros((4, 4, 2), np.uint8)])
            next(results)
            with pytest.raises(ImageError, match="is not an image"):
                next(results)

    def test_closing_the_denoiser_ends_it(self, make_model):
        denoise = Denoiser(make_model())
        results = denoise.stream(random_image(8, 8, 3) for _ in itertools.count())
        next(results)
        denoise.close()
        with pytest.raises(UserError, match="closed"):
            list(results)


class TestAsyncio:
    def test_the_event_loop_goes_on(self, make_model):
        images = [random_image(20, 20, 3, seed=i) for i in range(5)]

        async def run() -> list[np.ndarray]:
            with Denoiser(make_model("negative")) as denoise:
                return await asyncio.gather(*(denoise.adenoise(image) for image in images))

        for image, result in zip(images, asyncio.run(run()), strict=True):
            np.testing.assert_array_equal(result, 255 - image)

    def test_errors_arrive_and_a_closed_one_says_so(self, make_model):
        async def run() -> None:
            denoise = Denoiser(make_model())
            with pytest.raises(ImageError):
                await denoise.adenoise(np.zeros((4, 4, 2), np.uint8))
            denoise.close()
            with pytest.raises(UserError, match="closed"):
                await denoise.adenoise(random_image(4, 4, 3))

        asyncio.run(run())

    def test_calls_that_wait_when_it_is_closed_are_told(self, use_backend):
        class Waits(Plain):
            def run(self, batch: np.ndarray) -> np.ndarray:
                running.set()
                assert go_on.wait(10)
                return super().run(batch)

        running, go_on = threading.Event(), threading.Event()
        use_backend(Waits())

        async def run() -> None:
            denoise = Denoiser()
            first, second = (asyncio.create_task(denoise.adenoise(random_image(8, 8, 3))) for _ in range(2))
            await asyncio.to_thread(running.wait, 10)
            closing_ = asyncio.create_task(asyncio.to_thread(denoise.close))
            go_on.set()
            assert (await first).shape == (8, 8, 3)
            await closing_
            try:  # it was begun before the closing, or it is told
                await second
            except UserError as error:
                assert "closed" in str(error)

        asyncio.run(run())


class TestChannels:
    def test_bgr_gives_what_rgb_gives(self, make_model):
        model = make_model("unet")
        image = random_image(45, 61, 4)
        with Denoiser(model, tile=36) as rgb, Denoiser(model, tile=36, channels="bgr") as bgr:
            for colours in (slice(2, None, -1), [2, 1, 0, 3]):
                swapped = np.ascontiguousarray(image[..., colours])
                expected = rgb(image[..., : swapped.shape[2]])[..., colours]
                np.testing.assert_array_equal(bgr(swapped), expected)

    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
    def test_at_any_depth(self, make_model, dtype):
        image = from_float(random_image(9, 12, 3) / np.float32(400), dtype)
        with Denoiser(make_model("redden", io="float32"), channels="bgr") as denoise:
            changes = (denoise(image).astype(float) - image).mean(axis=(0, 1))
        assert 0 == changes[0] < changes[1] < changes[2]

    def test_another_order_is_refused(self, make_model):
        with pytest.raises(UserError, match="rgb or bgr, not 'gbr'"):
            Denoiser(make_model(), channels="gbr")  # pyright: ignore[reportArgumentType]


class TestOut:
    def test_the_result_goes_where_it_is_asked_for(self, make_model):
        image = random_image(20, 30, 4)
        out = np.zeros_like(image)
        with Denoiser(make_model("negative")) as denoise:
            assert denoise(image, out=out) is out
        np.testing.assert_array_equal(out[..., :3], 255 - image[..., :3])
        np.testing.assert_array_equal(out[..., 3], image[..., 3])

    def test_an_array_that_does_not_fit_is_refused(self, make_model):
        image = random_image(20, 30, 3)
        with Denoiser(make_model()) as denoise:
            with pytest.raises(
                UserError, match=r"shape and dtype, \(20, 30, 3\) uint8, not \(20, 30\) uint8"
            ):
                denoise(image, out=np.zeros((20, 30), np.uint8))
            with pytest.raises(UserError, match="overlaps"):
                denoise(image, out=image)


class Small(Overlapping):
    """Has memory for at most `most_px` pixels at once."""

    def __init__(self, most_px: int) -> None:
        super().__init__()
        self.most_px = most_px

    def buffer(self, slot: int, shape: tuple[int, int, int, int]) -> np.ndarray:
        if np.prod(shape[:3]) > self.most_px:
            raise OutOfMemory("cuda:0", (1, 8, 8, 3))
        return super().buffer(slot, shape)


class TestMemoryThatRunsOut:
    @pytest.mark.parametrize("tile", [0, 32])
    def test_tiles_are_halved_until_they_fit_with_a_warning(self, use_backend, tile, caplog):
        use_backend(Small(9 * 9))
        image = random_image(40, 40, 3)
        with Denoiser(tile=tile) as denoise:
            np.testing.assert_array_equal(denoise(image), 255 - image)
            assert re.search(r"out of memory over tiles of \d+×\d+ px; going on with", caplog.text)
            assert max(denoise.tile_hw) <= 9
            caplog.clear()
            np.testing.assert_array_equal(denoise(image), 255 - image)
            assert not caplog.records  # the smaller tiles are kept

    def test_what_a_failed_try_holds_is_freed_before_the_next(self, use_backend, caplog):
        failed: list[weakref.ref[np.ndarray]] = []

        class Full(Plain):
            def run(self, batch: np.ndarray) -> np.ndarray:
                assert all(memory() is None for memory in failed)
                if batch.shape[1] <= 9:
                    return super().run(batch)
                failed.append(weakref.ref(batch if batch.base is None else batch.base))
                try:
                    raise MemoryError(batch)  # as of a library, with references of its own
                except MemoryError as error:
                    raise OutOfMemory("cpu", batch.shape) from error

        use_backend(Full())
        image = random_image(70, 70, 3)
        gc.disable()
        try:
            with Denoiser(tile=0) as denoise:
                np.testing.assert_array_equal(denoise(image), 255 - image)
        finally:
            gc.enable()
        assert len(failed) == caplog.text.count("going on with") == 3  # 70, 35 and 17; 8 fits

    def test_the_error_is_raised_if_there_is_no_smaller_tile(self, use_backend, caplog):
        use_backend(Small(0))
        with Denoiser(tile=2) as denoise, pytest.raises(OutOfMemory):
            denoise(random_image(40, 40, 3))
        assert "going on with 1×1" in caplog.text

    def test_python_s_own_memory_error_counts(self, make_model, monkeypatch, caplog):
        with Denoiser(make_model("negative"), tile=32) as denoise:
            backend = denoise._backend
            assert backend is not None
            run = backend.run

            def fail_over_large(batch: np.ndarray) -> np.ndarray:
                if batch.shape[1] > 16:
                    raise MemoryError
                return run(batch)

            monkeypatch.setattr(backend, "run", fail_over_large)
            image = random_image(40, 40, 3)
            np.testing.assert_array_equal(denoise(image), 255 - image)
        assert "going on with 10×10 px" in caplog.text


def test_denoisers_are_closed_in_any_order_and_after_errors(make_model):
    first, second = Denoiser(make_model("negative")), Denoiser(make_model("blur", name="b.onnx"))
    with pytest.raises(ImageError):
        second(np.zeros((4, 4, 2), np.uint8))
    first.close()
    image = random_image(8, 8, 3)
    assert second(image).shape == image.shape
    second.close()
    first.close()
