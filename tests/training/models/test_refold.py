from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from n2b.runtime.errors import ModelError
from n2b.runtime.model_files import bundled_models
from n2b.training.models.collapsible import fold
from n2b.training.models.onnx_weights import read_weights
from n2b.training.models.refold import expand_weights, unfolded_weights
from n2b.training.models.registry import build_denoiser


def test_folded_weights_expanded_again_compute_the_same() -> None:
    torch.manual_seed(0)
    trained, fresh = build_denoiser("edge"), build_denoiser("edge")
    weights = fold(copy.deepcopy(trained)).state_dict()
    fresh.load_state_dict(expand_weights(weights, fresh))
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(fresh(x), trained(x), atol=1e-5)


def test_the_bundled_model_is_the_network_it_was_made_of() -> None:
    from n2b.runtime import Denoiser

    weights = read_weights(bundled_models()["camera"])
    network = build_denoiser("edge")
    network.load_state_dict(unfolded_weights(weights, network))
    image = (torch.rand(64, 96, 3, generator=torch.Generator().manual_seed(0)) * 255).byte()
    with torch.no_grad():
        result = network(image.permute(2, 0, 1)[None].float() / 255).clamp(0, 1) * 255
    by_runtime = torch.from_numpy(Denoiser("camera", device="cpu")(image.numpy()))
    assert (result[0].permute(1, 2, 0).round() - by_runtime).abs().max() <= 1


@pytest.mark.parametrize("data", [b"", b"\x3a\xff\xff\xff\xff\x0f", b"no model at all", b"\x08"])
def test_what_is_no_onnx_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "model.onnx").write_bytes(data)
    with pytest.raises(ModelError):
        read_weights(tmp_path / "model.onnx")
