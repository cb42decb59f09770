"""The networks of a run with their optimisers and the moving average of the weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..runtime.errors import ModelError
from ..runtime.model_files import bundled_models
from .checkpoint import load_checkpoint
from .config import AUTO, TrainConfig
from .models.onnx_weights import read_weights
from .models.refold import unfolded_weights
from .objectives import build_networks

# Noise2Noise's for this network; Adam's own 0.999 takes larger steps at a sudden gradient
BOUNDED_BETAS, ADAM_BETAS = (0.9, 0.99), (0.9, 0.999)
MAX_GRADIENT = 1.0  # norm, of each network


class Learner:
    """Networks, one Adam each, and with `config.average` the moving average of the denoiser's weights.

    Args:
        fabric: the device, the precision and the processes; it shares the gradients.
        config: decides the networks and how they learn.

    Raises:
        ModelError: `config.initial` is no checkpoint, or one of another network.
    """

    def __init__(self, fabric: Fabric, config: TrainConfig) -> None:
        self._fabric = fabric
        self._config = config
        self.networks = build_networks(config)
        # True if all networks go on from a checkpoint; an exported file has the denoiser only
        self.is_continued = bool(config.initial) and _load_weights(self.networks, config.initial or "")
        self.modules = dict(self.networks)  # the same without the wrappers of Fabric
        self._optimizers: dict[str, torch.optim.Optimizer] = {}
        betas = BOUNDED_BETAS if config.bounded else ADAM_BETAS
        is_compiled = config.compile == "on" or (config.compile == AUTO and fabric.device.type == "cuda")
        self._replays_graphs = is_compiled and fabric.device.type == "cuda"
        for name, network in self.modules.items():
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            if is_compiled:
                network.compile(mode="reduce-overhead")  # fused, and replayed as a CUDA graph
            optimizer = torch.optim.Adam(network.parameters(), config.learning_rate, betas=betas, fused=True)
            self.networks[name], self._optimizers[name] = fabric.setup(network, optimizer)
        self._averaged: AveragedModel | None = None
        if config.average:
            rule = get_ema_multi_avg_fn(config.average)
            self._averaged = AveragedModel(self.modules["denoiser"], multi_avg_fn=rule)

    def restart(self) -> None:
        """Forget the optimisers' moments and the average: from here another loss is minimised."""
        for optimizer in self._optimizers.values():
            optimizer.state.clear()
        if self._averaged:
            self._averaged.n_averaged.zero_()  # the next average begins with the weights as they then are

    def begin_step(self) -> None:
        """Prepare a step; call it once, before the networks."""
        if self._replays_graphs:  # what the graphs of the last step gave may now be written over
            torch.compiler.cudagraph_mark_step_begin()

    def step(self, losses: dict[str, Tensor], rate: float) -> Tensor:
        """Go down the sum of the losses by one step of every optimiser.

        Args:
            losses: scalars, as an objective gives them.
            rate: learning rate.

        Returns:
            The sum, detached, still on the device.
        """
        total = torch.stack(list(losses.values())).sum()
        self._fabric.backward(total)
        for name, optimizer in self._optimizers.items():
            optimizer.param_groups[0]["lr"] = rate
            if self._config.bounded:
                self._fabric.clip_gradients(
                    self.networks[name],
                    optimizer,
                    max_norm=MAX_GRADIENT,
                    error_if_nonfinite=False,  # to ask would make a GPU wait; the loop looks at the losses
                )
            optimizer.step()
            optimizer.zero_grad()
        if self._averaged:
            self._averaged.update_parameters(self.modules["denoiser"])
        return total.detach()

    @property
    def kept(self) -> dict[str, nn.Module]:
        """Return the networks in float32 for measuring; the denoiser is the one to export."""
        averaged = {"denoiser": self._averaged.module} if self._averaged else {}
        return self.modules | averaged

    def is_finite(self) -> bool:
        """Return True if every weight is finite; makes a GPU wait."""
        weights = [p.detach() for module in self.modules.values() for p in module.parameters()]
        return bool(torch.stack([w.isfinite().all() for w in weights]).all())

    def state(self) -> dict[str, Any]:
        """Return the complete state, for a checkpoint."""
        state: dict[str, Any] = {
            "networks": {name: module.state_dict() for name, module in self.modules.items()},
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self._optimizers.items()},
        }
        if self._averaged:
            state["averaged"] = self._averaged.module.state_dict()
            state["averages"] = int(self._averaged.n_averaged)
        return state

    def restore(self, state: dict[str, Any]) -> None:
        """Restore the result of `state`."""
        for name, module in self.modules.items():
            module.load_state_dict(state["networks"][name])
            self._optimizers[name].load_state_dict(state["optimizers"][name])
        if self._averaged:
            self._averaged.module.load_state_dict(state["averaged"])
            self._averaged.n_averaged.fill_(state["averages"])


def _load_weights(networks: dict[str, nn.Module], initial: str) -> bool:
    """Load the weights of a checkpoint, or the denoiser's of an exported or bundled model.

    Returns:
        True if it had weights for all networks.
    """
    path = Path(initial)
    if not path.exists():
        path = bundled_models().get(initial, path)
    try:
        if path.suffix == ".onnx":
            weights: dict[str, Any] = {"denoiser": unfolded_weights(read_weights(path), networks["denoiser"])}
        else:
            state = load_checkpoint(path)
            weights = dict(state.get("networks", {}))
            if "averaged" in state:
                weights["denoiser"] = state["averaged"]
            if "selected" in state:
                weights["denoiser"] = state["selected"]["weights"]
        networks["denoiser"].load_state_dict(weights["denoiser"])
        if "extractor" in networks and "extractor" in weights:
            networks["extractor"].load_state_dict(weights["extractor"])
        return set(networks) <= set(weights)
    except (KeyError, RuntimeError, TypeError) as error:
        raise ModelError(
            f"{path} contains another network; give the --arch that it was trained with"
        ) from error
