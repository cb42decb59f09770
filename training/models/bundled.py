"""The bundled model for cameras as a network, to start from and to compare with."""

from __future__ import annotations

from torch import nn

from ...runtime.model_files import CAMERA_ARCH, CAMERA_BUNDLED, bundled_models
from .collapsible import fold
from .onnx_weights import read_weights
from .registry import build_denoiser


def bundled_camera() -> nn.Module | None:
    """Return the bundled model for cameras, folded and in evaluation mode; None if none is installed."""
    path = bundled_models().get(CAMERA_BUNDLED)
    if path is None:
        return None
    network = fold(build_denoiser(CAMERA_ARCH))
    weights = read_weights(path)
    network.load_state_dict({name: weights[name] for name in network.state_dict()})
    return network.eval()
