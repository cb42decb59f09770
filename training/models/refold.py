"""Turn weights of a folded network back into products of convolutions: the inverse of `fold`."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from .collapsible import ExpandedConvolution, fold


@torch.no_grad()
def expand_weights(weights: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Return the weights of a folded network as weights of `network`, which computes the same with them.

    A convolution W (outputs, inputs·9) becomes mix·maps = W with the network's own first `mix`, whose rows
    are independent, and the shortest maps there are: maps = mixᵀ (mix mixᵀ)⁻¹ W.

    Args:
        weights: by the names of the folded network; what is expanded already is kept.
        network: new, with its first weights.

    Returns:
        A state for `network.load_state_dict`.
    """
    state = dict(weights)
    for name, module in network.named_modules():
        if not isinstance(module, ExpandedConvolution) or f"{name}.weight" not in state:
            continue
        weight = state.pop(f"{name}.weight").cpu().double()  # an Apple GPU has no float64
        mix = module.mix.cpu().double()
        maps = mix.T @ torch.linalg.solve(mix @ mix.T, weight.flatten(1))
        state[f"{name}.mix"] = module.mix.detach().clone()
        state[f"{name}.maps"] = maps.view_as(module.maps).float()
    return state


def unfolded_weights(exported: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Return a state for `network` from the weights of its export, whose other constants are left out.

    Args:
        exported: the floating-point constants of an ONNX file by name, as `read_weights` returns them.
        network: new, of the architecture that was exported.

    Raises:
        KeyError: the export is of another architecture.
    """
    names = fold(copy.deepcopy(network)).state_dict()
    return expand_weights({name: exported[name] for name in names}, network)
