"""The denoisers that can be trained, by name."""

from __future__ import annotations

from torch import nn

from ...runtime.errors import UserError
from .dncnn import DnCnn
from .edge import EdgeNet
from .noise2blur import DnNet

DENOISERS: dict[str, type[DnNet] | type[EdgeNet] | type[DnCnn]] = {
    "unet": DnNet,
    "edge": EdgeNet,
    "dncnn": DnCnn,
}


def build_denoiser(arch: str) -> nn.Module:
    """Build a network of an architecture, with random weights.

    Every architecture takes and gives float32 N×3×H×W, about [0, 1], of any H, W ≥ 1, and its class has
    `size_multiple_px`, `receptive_radius_px` and `default_halo_px`.

    Raises:
        UserError: there is no architecture of this name.
    """
    if arch not in DENOISERS:
        raise UserError(f"unknown architecture '{arch}'; known: {', '.join(DENOISERS)}")
    return DENOISERS[arch]()
