"""The kernels that TensorRT-RTX compiles where an engine runs, kept from one start to the next."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

from ...errors import UserError
from ...system.files import sha256_of_file, write_atomically
from ...system.gpu import Gpu
from ...system.memory import cache_folder

_logger = logging.getLogger(__name__)


def runtime_cache_path(model: Path, version: str, gpu: Gpu) -> Path:
    """Where an engine's kernels lie in the user's cache folder: by version, GPU and the engine's bytes."""
    name = re.sub(r"[^a-z0-9]+", "-", gpu.name.lower()).strip("-")
    capability = gpu.compute_capability.replace(".", "")
    return cache_folder() / f"rtx-{version}-{name}-sm{capability}-{sha256_of_file(model)[:16]}.kernels"


class RuntimeCache:
    """The kernels of one engine.

    TensorRT-RTX itself takes only those that fit its version, the GPU and the driver; where the file does
    not fit, or is damaged, they are compiled anew and replace it.

    Args:
        rtx: the module of TensorRT-RTX.
        engine: an engine of it.
        path: their file, which need not be there.
    """

    def __init__(self, rtx: Any, engine: Any, path: Path) -> None:
        self._rtx, self._path = rtx, path
        self._config = engine.create_runtime_config()
        self._cache = self._config.create_runtime_cache()
        self._kept = path.read_bytes() if path.is_file() else b""
        if self._kept and not self._cache.deserialize(self._kept):
            self._kept = b""
        self._config.set_runtime_cache(self._cache)
        # For a range of sizes it compiles each size's kernels beside its work, and captures a graph after:
        # only TensorRT-RTX itself knows when.
        self._config.cuda_graph_strategy = rtx.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE

    def create_context(self, engine: Any, *, user_managed: bool) -> Any:
        """An execution context that takes its kernels from here and leaves new ones; None: out of memory.

        Args:
            engine: the engine.
            user_managed: the caller provides its scratch memory.
        """
        if user_managed:
            rtx = self._rtx
            self._config.set_execution_context_allocation_strategy(
                rtx.ExecutionContextAllocationStrategy.USER_MANAGED
            )
        return engine.create_execution_context(self._config)

    def save(self) -> None:
        """Keep the kernels where there are new ones; a warning where that fails."""
        data = bytes(self._cache.serialize())
        if data == self._kept:
            return
        try:
            write_atomically(self._path, data)
            self._kept = data
        except UserError as error:
            _logger.warning(f"compiled kernels were not kept: {error}")
