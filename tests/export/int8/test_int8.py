from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from n2b.calibration.ranges import load_ranges
from n2b.export.exporter import export_model
from n2b.export.int8.quantize import quantize
from n2b.export.onnx.file import read_onnx
from n2b.export.settings import CalibrationSettings, ExportSettings
from n2b.export.source import Source, load_source
from n2b.runtime import Denoiser
from n2b.runtime.errors import UserError
from n2b.runtime.images.image import Image, read_image, write_image

from ..conftest import WriteModel, change_weight


@pytest.fixture
def bare(small: onnx.ModelProto) -> onnx.ModelProto:
    """Five layers, each of which is measured alone."""
    return small


@pytest.fixture
def source(bare: onnx.ModelProto, write_model: WriteModel) -> Source:
    return load_source(write_model(bare, "source.onnx"))


@pytest.fixture
def noisy(tmp_path: Path) -> Path:
    """A folder of noisy images."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:256, :256]
    for i in range(3):
        shading = 60 + 50 * i + 30 * np.sin(x / (5 + 9 * i)) + 20 * (y > 128)
        pixels = np.clip(shading[..., None] + 10 * rng.standard_normal((256, 256, 3)), 0, 255)
        write_image(tmp_path / "noisy" / f"{i}.png", Image(pixels.astype(np.uint8)))
    return tmp_path / "noisy"


def settings_for(noisy: Path | None, **others: object) -> CalibrationSettings:
    named = str(noisy) if noisy else None
    return CalibrationSettings(named, **{"tiles": 6, "method": "minmax", **others})  # type: ignore[arg-type]


def test_an_int8_export_has_both_files_its_ranges_and_its_layers(
    source: Source, noisy: Path, tmp_path: Path
) -> None:
    lines: list[str] = []
    settings = ExportSettings(
        tile_px=64,
        io="uint8",
        dynamic=True,
        target="none",
        int8=True,
        calibration=settings_for(noisy),
        fp16=True,
    )
    artifacts = export_model(source, tmp_path / "out", settings, lines.append)
    assert [a.precision for a in artifacts] == ["fp32", "fp16", "int8-cpu", "int8"]
    assert all(a.agreement and a.agreement.psnr_db > 15 for a in artifacts[2:])
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"model.int8.onnx", "model.int8-cpu.onnx", "ranges.json", "layers.json", "report.html"} <= names

    model, info = read_onnx(tmp_path / "out" / "model.int8.onnx")
    assert info.precision == "int8"
    assert info.calibration["tiles"]["count"] == 6 and len(info.calibration["tiles"]["names"]) == 6
    assert len(info.calibration["tiles"]["sha256"]) == len(info.sources["ranges.json"]) == 64
    assert {node.op_type for node in model.graph.node} >= {"QuantizeLinear", "DequantizeLinear"}
    layers = json.loads((tmp_path / "out" / "layers.json").read_text())
    assert set(layers["files"]) == {"int8", "int8-cpu"}
    assert any("layers in INT8, loss" in line for line in lines)

    image = read_image(noisy / "1.png").pixels[:70, :90]
    with (
        Denoiser(tmp_path / "out" / "model.onnx") as exact,
        Denoiser(tmp_path / "out" / "model.int8-cpu.onnx") as rounded,
    ):
        assert np.abs(exact(image).astype(int) - rounded(image)).mean() < 4


def test_fp16_and_int8_share_one_search_for_nodes_that_overflow(
    bare: onnx.ModelProto, write_model: WriteModel, noisy: Path, tmp_path: Path
) -> None:
    for name, factor in (("top.weight", 1e6), ("top.bias", 1e6), ("last.weight", 1e-6)):
        change_weight(bare, name, factor)
    lines: list[str] = []
    settings = ExportSettings(
        fp16=True, int8=True, calibration=settings_for(noisy), tile_px=64, target="none", verify=False
    )
    export_model(load_source(write_model(bare, "loud.onnx")), tmp_path / "out", settings, lines.append)
    (line,) = [line for line in lines if line.startswith("FP32 is kept where FP16 would overflow")]
    assert "top" in line
    for name in ("model.fp16.onnx", "model.int8.onnx"):
        assert "top.weight" in _names_of_float32(read_onnx(tmp_path / "out" / name)[0])


def _names_of_float32(model: onnx.ModelProto) -> set[str]:
    return {t.name for t in model.graph.initializer if t.data_type == onnx.TensorProto.FLOAT}


def test_ranges_can_be_taken_again_and_are_of_one_network(
    source: Source, noisy: Path, tmp_path: Path
) -> None:
    first = quantize(source, settings_for(noisy))
    first.calibration.ranges.save(tmp_path / "ranges.json")
    again = quantize(source, settings_for(noisy, ranges=tmp_path / "ranges.json"))
    assert again.calibration.ranges == first.calibration.ranges
    assert again.calibration.ranges == load_ranges(tmp_path / "ranges.json", first.calibration.ranges.network)
    assert again.graphs["int8-cpu"].SerializeToString() == first.graphs["int8-cpu"].SerializeToString()
    other = dataclasses.replace(source, bare=_with_another_weight(source.bare))
    with pytest.raises(UserError, match="another network"):
        quantize(other, settings_for(noisy, ranges=tmp_path / "ranges.json"))


def test_a_network_without_a_layer_that_tolerates_int8_is_refused(
    source: Source, noisy: Path, tmp_path: Path
) -> None:
    measured = quantize(source, settings_for(noisy)).calibration.ranges
    coarse = dict.fromkeys(measured.ranges, (-1e9, 1e9))  # all that a layer is given becomes 0
    dataclasses.replace(measured, ranges=coarse).save(tmp_path / "ranges.json")
    int8 = settings_for(noisy, ranges=tmp_path / "ranges.json")
    settings = ExportSettings(tile_px=64, target="none", verify=False, int8=True, calibration=int8)
    with pytest.raises(UserError, match=r"no layer of this network tolerates INT8 .* export it with --fp16"):
        export_model(source, tmp_path / "out", settings)
    assert not (tmp_path / "out").exists()


def _with_another_weight(bare: onnx.ModelProto) -> onnx.ModelProto:
    other = onnx.ModelProto()
    other.CopyFrom(bare)
    tensor = other.graph.initializer[0]
    values = onnx.numpy_helper.to_array(tensor)
    tensor.CopyFrom(onnx.numpy_helper.from_array(values * np.float32(1.01), tensor.name))
    return other


def test_the_samples_serve_where_nothing_is_named(source: Source) -> None:
    trained = dataclasses.replace(source.info, trained={"noise": "gaussian:10"})
    quantized = quantize(dataclasses.replace(source, info=trained), settings_for(None))
    assert quantized.images == "sample photographs with noise gaussian:10"
    assert quantized.calibration.choices["int8"].float_db > 0


@pytest.mark.parametrize(
    ("pixels", "words"),
    [(None, "no images found"), (np.zeros((128, 128, 3), np.uint8), "covered lens")],
)
def test_an_empty_or_black_folder_is_refused(
    source: Source, tmp_path: Path, pixels: np.ndarray | None, words: str
) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    if pixels is not None:
        write_image(folder / "black.png", Image(pixels))
    settings = ExportSettings(
        tile_px=64, target="none", verify=False, int8=True, calibration=settings_for(folder)
    )
    with pytest.raises(UserError, match=words):
        export_model(source, tmp_path / "out", settings)
    assert not (tmp_path / "out").exists()


def test_small_images_are_mirrored_and_damaged_ones_skipped(
    source: Source, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "images"
    rng = np.random.default_rng(1)
    for i in range(6):
        write_image(folder / f"{i}.png", Image(rng.integers(0, 256, (40, 50, 3), np.uint8)))
    (folder / "damaged.png").write_bytes(b"no image")
    quantized = quantize(source, settings_for(folder))
    assert quantized.calibration.ranges.tiles["count"] >= 1
    assert "skipped" in caplog.text
