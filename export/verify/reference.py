"""Run the references of exported files: the network in torch, or the bare FP32 graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import onnx

from ...calibration.session import open_session, run_session
from ..onnx.from_torch import NETWORK_INPUT
from .node_by_node import run_node_by_node

if TYPE_CHECKING:
    import torch
    from torch import nn


class Reference(Protocol):
    """A network without its input/output contract: float32 N×C×H×W in [0, 1] → the same, unclamped.

    A network of the value transform "log" takes and returns logarithms: see calibration/network_values.py.
    """

    def run(self, batch: np.ndarray) -> np.ndarray:
        """Return the network's result for a batch."""
        ...

    def layers(self, batch: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        """Yield the name in the ONNX graph and the result of each layer, in order."""
        ...


class TorchReference:
    """A network in torch, in evaluation mode on the CPU."""

    def __init__(self, network: nn.Module) -> None:
        self._network = network

    def run(self, batch: np.ndarray) -> np.ndarray:
        import torch

        with torch.inference_mode():
            return self._network(torch.from_numpy(batch)).numpy()

    def layers(self, batch: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        results: list[tuple[str, np.ndarray]] = []

        def keep(name: str) -> Callable[[Any, Any, torch.Tensor], None]:
            # a copy, since an activation in place follows
            return lambda _layer, _input, result: results.append((name, result.numpy().copy()))

        layers = {name: m for name, m in self._network.named_modules() if hasattr(m, "weight")}
        hooks = [layer.register_forward_hook(keep(name)) for name, layer in layers.items()]
        try:
            self.run(batch)
        finally:
            for hook in hooks:
                hook.remove()
        yield from results


class OnnxReference:
    """A bare FP32 graph in ONNX Runtime on the CPU.

    Raises:
        ModelError: ONNX Runtime cannot run it.
    """

    def __init__(self, bare: onnx.ModelProto, source: str) -> None:
        self._bare = bare
        self._session = open_session(bare.SerializeToString(), source)

    def run(self, batch: np.ndarray) -> np.ndarray:
        return run_session(self._session, batch)

    def layers(self, batch: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        yield from run_node_by_node(self._bare, {NETWORK_INPUT: batch})
