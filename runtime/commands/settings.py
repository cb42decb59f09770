"""The settings of a run of n2b-infer, as plain data."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..backends import BackendName, Rebuild
from ..cuda import CudaApi
from ..errors import UserError

SUFFIX = "_denoised"  # of results that lie next to their inputs


@dataclass(frozen=True)
class DenoiserOptions:
    """The arguments of `Denoiser`, as its docstring describes them."""

    model: str | Path | None = None
    backend: BackendName = "auto"
    device: str = "auto"
    tile: int | str = "auto"
    halo_px: int | None = None
    batch: int | None = None
    max_memory: float | None = None  # in MB
    strict: bool = False
    rebuild: Rebuild = "never"
    cuda_api: CudaApi = "auto"
    allow_8bit: bool = False

    def for_camera(self) -> DenoiserOptions:
        """Return these options with the model for cameras, if they name none."""
        from ..model_files import default_for_camera

        return self if self.model else dataclasses.replace(self, model=default_for_camera())

    def to_dict(self) -> dict[str, Any]:
        """Return the arguments by name."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class OutputPlan:
    """Where the results of images or videos go.

    Attributes:
        out: a folder, or for one input a file; None: next to each input.
        suffix: between name and extension of a result; None: `_denoised` next to the input, else none.
        ext: extension of the results, such as "png"; None: that of the input.
        reference: a folder of clean images of the same names, to measure the results against.
    """

    out: Path | None = None
    suffix: str | None = None
    ext: str | None = None
    reference: Path | None = None

    def place(self, source: Path, below: Path, extension: str) -> Path:
        """Return where the result of a source goes.

        Args:
            source: an image or a video.
            below: its path below the input that named it; the result has the same below `out`.
            extension: of the result, with its dot, unless `ext` names another.

        Raises:
            UserError: the suffix would put it into another folder.
        """
        suffix = self.suffix
        if suffix is None:
            suffix = SUFFIX if self.out is None else ""
        if "/" in suffix or "\\" in suffix:
            raise UserError(f"a suffix of '{suffix}' names a folder; name the folder with -o")
        extension = extension if self.ext is None else f".{self.ext.lstrip('.')}"
        folder = source.parent if self.out is None else self.out / below.parent
        return folder / f"{source.stem}{suffix}{extension}"
