from __future__ import annotations

import copy
import dataclasses
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from n2b.export.onnx.float16 import to_fp16
from n2b.export.verify.reference import OnnxReference, TorchReference
from n2b.export.verify.verify import verify_onnx
from n2b.runtime.errors import VerificationError
from n2b.training.models.noise2blur import DnNet

from ..conftest import WriteModel, change_weight


@pytest.mark.parametrize("io", ["uint8", "float32"])
@pytest.mark.parametrize("dynamic", [False, True])
def test_a_sound_fp32_file_agrees(
    bare: onnx.ModelProto, network: DnNet, write_model: WriteModel, io: str, dynamic: bool
) -> None:
    path = write_model(bare, io=io, dynamic=dynamic, batch=2)
    agreement = verify_onnx(path, TorchReference(network), source="run")
    assert agreement.largest_difference <= 1.0001 / 255
    assert agreement.psnr_db > 70
    assert agreement.overflow is None


@pytest.mark.parametrize("io", ["uint8", "float32"])
def test_a_sound_fp16_file_agrees_and_is_not_equal(
    bare: onnx.ModelProto, network: DnNet, write_model: WriteModel, io: str
) -> None:
    agreement = verify_onnx(write_model(to_fp16(bare), io=io), TorchReference(network), source="run")
    assert 50 <= agreement.psnr_db < 100
    assert agreement.largest_difference > 0


def test_a_file_equals_the_onnx_it_was_made_from(bare: onnx.ModelProto, write_model: WriteModel) -> None:
    agreement = verify_onnx(write_model(bare), OnnxReference(bare, "bare"), source="bare")
    assert agreement.largest_difference <= 1.0001 / 255


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("io", ["uint8", "float32"])
def test_a_network_of_logarithms_agrees_and_is_named_where_damaged(
    bare: onnx.ModelProto, network: DnNet, write_model: WriteModel, io: str, half: bool
) -> None:
    def write(bare: onnx.ModelProto) -> Path:
        return write_model(to_fp16(bare) if half else bare, io=io, transform="log")

    agreement = verify_onnx(write(bare), TorchReference(network), source="run")
    assert agreement.psnr_db > (50 if half else 70)
    change_weight(bare, "down.3.weight", 1.5)
    with pytest.raises(VerificationError, match=r"layer 'down\.3'"):
        verify_onnx(write(bare), TorchReference(network), source="run")


def test_a_damaged_fp32_layer_fails_and_is_named(
    bare: onnx.ModelProto, network: DnNet, write_model: WriteModel
) -> None:
    change_weight(bare, "down.3.weight", 1.5)
    with pytest.raises(VerificationError, match=r"model\.onnx does not compute what run .*'down\.3'"):
        verify_onnx(write_model(bare), TorchReference(network), source="run")


def test_a_damaged_fp16_layer_fails_and_is_named(
    bare: onnx.ModelProto, network: DnNet, write_model: WriteModel
) -> None:
    change_weight(bare, "up.2.0.weight", 1.5)
    with pytest.raises(VerificationError, match=r"at least 50 dB expected.*layer 'up\.2\.0'"):
        verify_onnx(write_model(to_fp16(bare)), TorchReference(network), source="run")


def test_an_activation_beyond_fp16_fails_and_is_named(bare: onnx.ModelProto, write_model: WriteModel) -> None:
    change_weight(bare, "top.0.weight", 1e5)
    change_weight(bare, "top.0.bias", 1e5)
    change_weight(bare, "top.1.weight", 1e-5)
    reference = OnnxReference(bare, "bare")
    verify_onnx(write_model(bare), reference, source="bare")
    with pytest.raises(VerificationError, match=r"layer 'top\.0' goes beyond what FP16 can hold"):
        verify_onnx(write_model(to_fp16(bare)), reference, source="bare")


def test_nan_in_a_layer_fails(bare: onnx.ModelProto, network: DnNet, write_model: WriteModel) -> None:
    change_weight(bare, "up.0.1.weight", np.nan)
    for io in ("uint8", "float32"):
        with pytest.raises(VerificationError, match=r"layer 'up\.0\.1' \(relative error inf\)"):
            verify_onnx(write_model(bare, io=io), TorchReference(network), source="run")


@pytest.mark.parametrize("value", [np.nan, 1e6])
def test_a_network_whose_training_went_wrong_fails(
    bare: onnx.ModelProto, network: DnNet, write_model: WriteModel, value: float
) -> None:
    broken = copy.deepcopy(network)
    with torch.no_grad():
        assert broken.last.bias is not None
        broken.last.bias.fill_(value)
    with pytest.raises(VerificationError, match=r"run itself produces values up to .* train it again"):
        verify_onnx(write_model(bare), TorchReference(broken), source="run")


def test_swapped_channels_fail_though_every_layer_agrees(
    bare: onnx.ModelProto, network: DnNet, write_model: WriteModel
) -> None:
    class Swapped:
        """A reference that sees blue where the file sees red."""

        def __init__(self) -> None:
            self._inner = TorchReference(network)
            self.layers = self._inner.layers

        def run(self, batch: np.ndarray) -> np.ndarray:
            return self._inner.run(np.ascontiguousarray(batch[:, ::-1]))

    with pytest.raises(VerificationError, match="no layer by itself diverges"):
        verify_onnx(write_model(bare), Swapped(), source="run")


def test_agreement_is_plain_data(bare: onnx.ModelProto, write_model: WriteModel) -> None:
    agreement = verify_onnx(write_model(bare), OnnxReference(bare, "bare"), source="bare")
    assert dataclasses.asdict(agreement)["images"] == agreement.images
    assert agreement.images.endswith("noise σ = 25, and a smooth gradient")
