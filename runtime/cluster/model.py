"""Send a model to the machines of a cluster, and open it there."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..commands.manifest import sha256_of_served
from ..commands.settings import DenoiserOptions
from ..model_files import BUNDLED, find_model
from ..system.memory import limit_cores
from ..system.opencv import load_opencv

if TYPE_CHECKING:
    from ..denoiser import Denoiser


@dataclass(frozen=True)
class ShippedModel:
    """The files of a model, with their content."""

    folder: Path  # where they lie on the machine of the command
    files: dict[str, bytes]  # by name
    opened: str | None  # the file to open; None: the folder

    @classmethod
    def read(cls, options: DenoiserOptions) -> ShippedModel:
        """Read the files of a model; a server's has none.

        Raises:
            ModelError: there is no such model.
        """
        if options.backend == "triton":
            return cls(Path(), {}, None)
        found = find_model(options.model)
        paths = [path for path in (found.onnx, found.engine) if path is not None]
        if found.engine is not None:  # its description, and the file that it was built from
            others = found.engine.with_name(f"{found.engine.name}.json"), found.engine.with_name("model.onnx")
            paths += [path for path in others if path.is_file() and path not in paths]
        is_folder = found.onnx is not None and found.engine is not None
        first = paths[0]
        files = {path.name: path.read_bytes() for path in paths}
        return cls(first.parent.absolute(), files, None if is_folder else first.name)

    def sha256(self, denoiser: Denoiser) -> str:
        """Return the SHA-256 of the file in use."""
        if not self.files:
            return sha256_of_served(denoiser)
        return hashlib.sha256(self.files[denoiser.model.name]).hexdigest()

    @contextmanager
    def open(self, options: DenoiserOptions, threads: int, memory_mb: float) -> Iterator[Denoiser]:
        """Open the model on this machine, with so many threads."""
        from ..denoiser import Denoiser

        limit_cores(threads)
        load_opencv().setNumThreads(threads)
        with self._place() as folder:
            arguments = options.arguments()
            if self.files:
                arguments["model"] = folder / self.opened if self.opened else folder
            if options.max_memory is None and options.tile == "auto":
                arguments["max_memory"] = memory_mb
            with Denoiser(**arguments) as denoiser:
                yield denoiser

    @contextmanager
    def _place(self) -> Iterator[Path]:
        """Yield a folder that holds the files: the same as on the command's machine, if they are there."""
        for folder in (self.folder, BUNDLED):
            if all(_content(folder / name) == content for name, content in self.files.items()):
                yield folder
                return
        with tempfile.TemporaryDirectory(prefix="n2b-model-") as temporary:
            for name, content in self.files.items():
                Path(temporary, name).write_bytes(content)
            yield Path(temporary)


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
