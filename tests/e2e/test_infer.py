"""n2b-infer on the paper's network, from a checkpoint over an export to photographs."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from n2b.export import cli as export_cli
from n2b.runtime import Denoiser, Image, read_image, write_image
from n2b.runtime import cli as infer_cli
from n2b.runtime.system.gpu import find_gpu
from n2b.runtime.system.tensorrt import FLAVOURS, is_installed
from n2b.training.checkpoint import save_checkpoint
from n2b.training.models.noise2blur import STRIDE, DnNet

EXACT_HALO_PX = -(-DnNet.receptive_radius_px // STRIDE) * STRIDE
AUTO_LEVELS = 4  # of 255: the fastest library on a CPU may compute in BF16, with 8 bits of mantissa
TILE_PX = 2 * EXACT_HALO_PX + 2 * STRIDE


def run(folder: Path, main, *arguments: object) -> int:
    """Run a command in this process, in a folder, and return its exit status."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["n2b", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.fixture(scope="module")
def network() -> DnNet:
    torch.manual_seed(3)
    network = DnNet().eval()
    with torch.no_grad():
        assert network.last.bias is not None
        network.last.bias.fill_(0.5)
    return network


@pytest.fixture(scope="module")
def work(network: DnNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run and its export."""
    work = tmp_path_factory.mktemp("work")
    state = {"networks": {"denoiser": network.state_dict()}, "trained": {"noise": "gaussian:0-50"}}
    (work / "runs" / "latest").mkdir(parents=True)
    save_checkpoint(work / "runs" / "latest" / "checkpoint.pt", state)
    assert run(work, export_cli.main, "--dynamic", "--target", "none", "--no-verify") == 0
    return work


def noisy_image(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)


def whole_image_run(network: DnNet, image: np.ndarray) -> np.ndarray:
    """Return the network's own result on the whole image, with its own padding."""
    with torch.no_grad():
        result = network(torch.from_numpy(image).permute(2, 0, 1)[None] / 255)
    return (result[0].permute(1, 2, 0).clamp(0, 1) * 255).round().to(torch.uint8).numpy()


@pytest.fixture(scope="module")
def photograph() -> np.ndarray:
    """Of a size that is no multiple of anything."""
    return noisy_image(401, 422)


@pytest.fixture(scope="module")
def whole(network: DnNet, photograph: np.ndarray) -> np.ndarray:
    return whole_image_run(network, photograph)


def differences(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.abs(a.astype(int) - b)


def test_the_network_does_something(photograph, whole):
    assert differences(photograph, whole).mean() > 10


def test_with_the_exact_halo_tiled_is_whole(work, photograph, whole):
    latest = work / "exports" / "latest"
    exact = Denoiser(latest, backend="onnxruntime", tile=TILE_PX, halo_px=EXACT_HALO_PX)
    with exact as denoise:  # in FP32, as the network
        assert len(denoise.plan(401, 422).tiles) == 4
        assert differences(denoise(photograph), whole).max() <= 1


def test_small_and_narrow_images_are_what_the_network_makes_of_them(work, network):
    with Denoiser(work / "exports" / "latest") as denoise:
        for size in ((1, 1), (31, 33), (64, 500)):
            image = noisy_image(*size)
            expected = whole_image_run(network, image)
            assert differences(denoise(image), expected).max() <= AUTO_LEVELS, size


def test_n2b_infer_takes_the_latest_export(work, network):
    strip = noisy_image(32, 422)  # two tiles
    write_image(work / "photos" / "a.png", Image(strip))
    tiles = ("--tile", TILE_PX, "--tile-overlap", EXACT_HALO_PX)
    assert run(work, infer_cli.main, "photos", "-o", "out", *tiles) == 0
    result = read_image(work / "out" / "a.png").pixels
    assert differences(result, whole_image_run(network, strip)).max() <= AUTO_LEVELS


@pytest.mark.gpu
@pytest.mark.skipif(find_gpu() is None, reason="needs an NVIDIA GPU, and this machine has none")
@pytest.mark.skipif(not any(map(is_installed, FLAVOURS)), reason="needs TensorRT or TensorRT-RTX")
@pytest.mark.parametrize(("precision", "levels"), [("--fp16", 4), (None, 1)])
def test_an_engine_agrees_with_the_network(work, photograph, whole, precision, levels):
    out = f"engine{precision or ''}"
    options = [precision] if precision else []
    assert run(work, export_cli.main, "--tile", TILE_PX, "--no-verify", "--out", out, *options) == 0
    with Denoiser(work / out, backend="tensorrt", halo_px=EXACT_HALO_PX, strict=True) as denoise:
        assert denoise.device == "cuda:0"
        for _ in range(2):  # its buffers are used again
            assert differences(denoise(photograph), whole).max() <= levels


@pytest.mark.gpu
@pytest.mark.skipif(
    "CUDAExecutionProvider" not in onnxruntime.get_available_providers(), reason="needs onnxruntime-gpu"
)
def test_cuda_agrees_with_the_network(work, photograph, whole):
    with Denoiser(work / "exports" / "latest", device="cuda", strict=True) as denoise:
        assert denoise.device == "cuda:0"
        assert differences(denoise(photograph), whole).max() <= 1


def test_a_16_bit_photograph_keeps_its_depth(tmp_path: Path) -> None:
    options = ("--io", "float32", "--dynamic", "--target", "none", "--no-verify", "--out", "deep")
    assert run(tmp_path, export_cli.main, "gaussian", *options) == 0
    ramp = np.linspace(10_000, 50_000, 128)[:, None, None]
    noisy = ramp + np.random.default_rng(0).normal(0, 2000, (128, 128, 3))
    write_image(tmp_path / "noisy.tif", Image(np.rint(noisy).astype(np.uint16)))
    assert run(tmp_path, infer_cli.main, "noisy.tif", "-o", "clean.tif", "-m", "deep") == 0
    clean = read_image(tmp_path / "clean.tif").pixels
    assert clean.dtype == np.uint16
    assert len(np.unique(clean)) > 20 * 256
    assert np.std(clean - ramp) < 500
