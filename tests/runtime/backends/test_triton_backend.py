"""Tiles go to a real Triton server with a model from n2b-export --triton, and come back the same."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from n2b.export.settings import ExportSettings
from n2b.export.triton import add_to_repository
from n2b.runtime import Denoiser
from n2b.runtime.backends.triton.served import parse_served
from n2b.runtime.errors import DeviceError, ModelError, UserError
from n2b.runtime.images.image import Image, read_image, write_image
from n2b.runtime.model_files import BUNDLED
from n2b.runtime.model_info import METADATA_KEY, ModelInfo

from ..fakes.triton_server import TritonServer

STRANGER = """
name: "stranger"
backend: "python"
max_batch_size: 0
input [ { name: "x", data_type: TYPE_FP32, dims: [ 3 ] } ]
output [ { name: "y", data_type: TYPE_FP32, dims: [ 3 ] } ]
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    """A server with the models `n2b` (tiles of any size), `stranger`, and `broken`, which does not load."""
    server = TritonServer(tmp_path_factory.mktemp("triton"))
    file = BUNDLED / "camera.onnx"
    metadata = {one.key: one.value for one in onnx.load(file).metadata_props}
    info = ModelInfo.from_json(metadata[METADATA_KEY], source="camera")
    settings = ExportSettings(batch=4, dynamic=True, target="none", triton=server.repository)
    for name in ("n2b", "broken"):
        add_to_repository(server.repository, name, file, info, settings)
        server.serve_by_python(name)
    (server.repository / "broken" / "1" / "model.onnx").write_bytes(b"no model")
    stranger = server.repository / "stranger"
    shutil.copytree(server.repository / "n2b", stranger)
    (stranger / "config.pbtxt").write_text(STRANGER)
    server.start("n2b")
    yield server
    server.kill()


@pytest.fixture
def url(server: TritonServer) -> str:
    return f"grpc://127.0.0.1:{server.port}"


def noisy(height: int, width: int) -> np.ndarray:
    random = np.random.default_rng(height)
    smooth = np.linspace(40, 200, width)[None, :, None] + np.zeros((height, 1, 3))
    return (smooth + random.normal(0, 10, smooth.shape)).clip(0, 255).astype(np.uint8)


def test_results_are_those_of_onnx_runtime_and_tiles_travel_together(server: TritonServer, url: str) -> None:
    image, folder = noisy(300, 420), server.repository / "n2b" / "1"
    with Denoiser("camera", backend="onnxruntime", device="cpu", tile=256) as here:
        expected = here(image)
    (folder / "delay").write_text("0.05")
    try:
        with Denoiser(backend="triton", url=url, tile=256) as there:
            assert np.array_equal(there(image), expected)
            assert (there.backend, there.device, there.precision) == ("triton", url, "fp32")
            assert (str(there.model), there.halo_px) == ("n2b", here.halo_px)
    finally:
        (folder / "delay").unlink()
    assert int((folder / "most").read_text()) > 1, "the server had one request at a time"
    with Denoiser("n2b:1", backend="triton", url=url.removeprefix("grpc://"), tile=256, batch=4) as there:
        assert np.array_equal(there(image), expected)


def test_images_are_denoised_by_the_command_and_skipped_when_done(
    n2b_infer, url: str, tmp_path: Path
) -> None:
    write_image(tmp_path / "in" / "a.png", Image(noisy(96, 128)))
    command = ["in", "-o", "out", "--backend", "triton", "--url", url, "--skip-existing"]
    status, _, errors = n2b_infer(*command)
    assert status == 0, errors
    assert f"triton on {url} in fp32" in errors
    with Denoiser("camera", backend="onnxruntime", device="cpu") as here:
        assert np.array_equal(read_image(tmp_path / "out" / "a.png").pixels, here(noisy(96, 128)))
    assert "0 images denoised, 1 skipped" in n2b_infer(*command)[1]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("none", "there is no model 'none' of grpc.*; it has broken, n2b, stranger"),
        ("n2b:7", "there is no model 'n2b' version 7 of grpc.*; there are versions 1"),
        ("broken", r"model 'broken' of grpc.* is not ready \(.*\); look at the server's log"),
        (
            "stranger",
            "model 'stranger' of grpc://.* is not a denoiser of n2b: it maps x float32 3 → y float32 3",
        ),
    ],
)
def test_a_model_that_cannot_be_used_is_named(url: str, model: str, message: str) -> None:
    with pytest.raises((ModelError, DeviceError), match=message):
        Denoiser(model, backend="triton", url=url)


def test_a_server_without_tls_is_no_server_with_tls(url: str) -> None:
    with pytest.raises(DeviceError, match="no Triton server answers at grpcs://"):
        Denoiser(backend="triton", url=url.replace("grpc", "grpcs"), deadline=1)


def test_a_larger_batch_than_the_server_takes_is_refused(url: str) -> None:
    with pytest.raises(UserError, match="takes 4 tiles at once at most, not 5"):
        Denoiser(backend="triton", url=url, batch=5)


def test_a_deadline_ends_a_long_wait(server: TritonServer, url: str) -> None:
    delay = server.repository / "n2b" / "1" / "delay"
    with Denoiser(backend="triton", url=url, deadline=0.3) as denoise:
        delay.write_text("3")
        try:
            with pytest.raises(DeviceError, match=r"gave no answer within 0.3 s; raise --deadline"):
                denoise(noisy(64, 64))
        finally:
            delay.unlink()


def test_a_server_that_is_killed_may_come_back_in_time_and_else_nothing_is_written(
    n2b_infer, server: TritonServer, url: str, tmp_path: Path
) -> None:
    write_image(tmp_path / "in" / "a.png", Image(noisy(64, 64)))
    results: list[np.ndarray] = []
    with (
        Denoiser(backend="triton", url=url) as patient,
        Denoiser(backend="triton", url=url, deadline=1) as hasty,
    ):
        expected = patient(noisy(64, 64))
        server.kill()
        with pytest.raises(
            DeviceError, match=f"no Triton server answers at {url}: .*; start it, or check --url"
        ):
            hasty(noisy(64, 64))
        waiting = threading.Thread(target=lambda: results.append(patient(noisy(64, 64))))
        waiting.start()
        server.start("n2b")
        waiting.join()
    assert np.array_equal(results[0], expected)
    server.kill()
    status, _, errors = n2b_infer("in", "-o", "out", "--backend", "triton", "--url", url, "--deadline", "1")
    assert status == 1
    assert f"no Triton server answers at {url}" in errors
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("url", "model", "deadline", "message"),
    [
        (None, "n2b", None, "--url grpc://HOST:8001"),
        ("http://host:8000", "n2b", None, "is no address of a server"),
        ("grpc://", "n2b", None, "is no address of a server"),
        ("grpc://host", "n2b:x", None, "'x' is no version of n2b"),
        ("grpc://host", "n2b", 0.0, "deadline of 0.0 s"),
    ],
)
def test_what_names_no_server_is_refused(url, model, deadline, message) -> None:
    with pytest.raises(UserError, match=message):
        Denoiser(model, backend="triton", url=url, deadline=deadline)


def test_addresses_are_completed() -> None:
    assert parse_served("grpc://host", "n2b", None).address == "host:8001"
    assert parse_served("[::1]", "n2b", None).address == "[::1]:8001"
    secure = parse_served("grpcs://host:443/", "n2b:2", 5)
    assert (secure.url, secure.is_secure, secure.version) == ("grpcs://host:443", True, "2")


def test_an_address_without_the_backend_is_refused() -> None:
    with pytest.raises(UserError, match="name it with the backend triton"):
        Denoiser(url="grpc://host")
