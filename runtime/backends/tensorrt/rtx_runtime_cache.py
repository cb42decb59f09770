"""Cache the kernels that TensorRT-RTX compiles when an engine runs."""

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
    """Return the path of an engine's cached kernels, by version, GPU and the engine's bytes."""
    name = re.sub(r"[^a-z0-9]+", "-", gpu.name.lower()).strip("-")
    capability = gpu.compute_capability.replace(".", "")
    return cache_folder() / f"rtx-{version}-{name}-sm{capability}-{sha256_of_file(model)[:16]}.kernels"


class RuntimeCache:
    """The compiled kernels of one engine.

    TensorRT-RTX uses a file only if it fits its version, the GPU and the driver; else it compiles again, and
    the file is replaced.
    """

    def __init__(self, rtx: Any, engine: Any, path: Path) -> None:
        self._rtx, self._path = rtx, path
        self._config = engine.create_runtime_config()
        self._cache = self._config.create_runtime_cache()
        self._saved = path.read_bytes() if path.is_file() else b""
        if self._saved and not self._cache.deserialize(self._saved):
            self._saved = b""
        self._config.set_runtime_cache(self._cache)
        # For a range of sizes it compiles the kernels of a size in the background, then captures a graph;
        # only TensorRT-RTX knows when.
        self._config.cuda_graph_strategy = rtx.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE

    def create_context(self, engine: Any, *, user_managed: bool) -> Any:
        """Return an execution context that uses and extends this cache; None: out of memory.

        With `user_managed` the caller provides its scratch memory.
        """
        if user_managed:
            rtx = self._rtx
            self._config.set_execution_context_allocation_strategy(
                rtx.ExecutionContextAllocationStrategy.USER_MANAGED
            )
        return engine.create_execution_context(self._config)

    def save(self) -> None:
        """Write the kernels if there are new ones; a failure is logged as a warning."""
        data = bytes(self._cache.serialize())
        if data == self._saved:
            return
        try:
            write_atomically(self._path, data)
            self._saved = data
        except UserError as error:
            _logger.warning(f"compiled kernels were not saved: {error}")
