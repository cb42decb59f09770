"""Load a checkpoint or an ONNX file of n2b as a bare FP32 graph and a reference for verification."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import onnx

from ..runtime.errors import ModelError, UserError
from ..runtime.model_files import DEFAULT_BUNDLED, bundled_models
from ..runtime.model_info import ModelInfo
from ..runtime.system.files import sha256_of_file
from ..runtime.system.packages import check_installed
from .onnx.file import read_onnx
from .onnx.from_torch import network_to_onnx
from .onnx.io_contract import strip_contract
from .onnx.opset import check_opset, set_opset
from .verify.reference import OnnxReference, Reference, TorchReference

LATEST_RUN = Path("runs/latest")  # below the current folder, written by n2b-train
CHECKPOINT, ONNX = "checkpoint.pt", "model.onnx"  # searched for in a folder
CHECKPOINT_SUFFIXES = (".pt", ".pth", ".ckpt")


@dataclass(frozen=True, eq=False)
class Source:
    """A model to export."""

    path: Path  # of the file
    bare: onnx.ModelProto  # FP32 graph without input/output contract
    info: ModelInfo  # description of the model
    reference: Reference  # computes the expected results of exported files


def find_source(model: Path | None) -> Path:
    """Return the file of a model: itself, the one in its folder, or a bundled one.

    Args:
        model: a file, a folder, or the name of a bundled model; None: the latest run, or without one the
            default bundled model.

    Raises:
        ModelError: there is no such model.
        UserError: the file is neither a checkpoint nor ONNX.
    """
    if model is None:
        if LATEST_RUN.exists():
            return LATEST_RUN / CHECKPOINT
        if DEFAULT_BUNDLED not in bundled_models():
            raise ModelError(
                f"there is no {LATEST_RUN}, nor a bundled model; train one with n2b-train, or name one"
            )
        return bundled_models()[DEFAULT_BUNDLED]
    if not model.exists() and (named := bundled_models().get(str(model))):
        return named
    if model.is_dir():
        for name in (CHECKPOINT, ONNX):
            if (model / name).is_file():
                return model / name
        raise ModelError(
            f"{model} holds neither {CHECKPOINT} nor {ONNX}; name the folder of a run or of an export"
        )
    if not model.exists():
        raise ModelError(f"{model} does not exist; name the folder of a run, a checkpoint, or an .onnx file")
    if model.suffix not in (*CHECKPOINT_SUFFIXES, ".onnx"):
        raise UserError(
            f"{model} is neither a checkpoint ({CHECKPOINT}) nor an .onnx file, so it cannot be exported"
        )
    return model


def load_source(path: Path, *, opset: int | None = None) -> Source:
    """Read a checkpoint (with torch) or an FP32 ONNX file of n2b (without).

    Args:
        opset: of the graph; None: unchanged, or 18 for a checkpoint.

    Raises:
        ModelError: the file is missing, damaged, not of n2b, or not FP32.
        UserError: the opset is not supported.
        MissingPackageError: a checkpoint needs torch.
        EnvironmentFault: this torch or onnx cannot convert the model.
    """
    if opset is not None:
        check_opset(opset)
    source = _from_onnx(path) if path.suffix == ".onnx" else _from_checkpoint(path)
    return source if opset is None else dataclasses.replace(source, bare=set_opset(source.bare, opset))


def _from_checkpoint(path: Path) -> Source:
    check_installed("torch", extra="train")
    from ..training.checkpoint import load_denoiser

    network, info = load_denoiser(path)
    bare = network_to_onnx(network, size_multiple_px=info.size_multiple_px)
    return Source(path, bare, info, TorchReference(network))


def _from_onnx(path: Path) -> Source:
    model, info = read_onnx(path)
    if info.precision != "fp32":
        raise ModelError(
            f"{path} is {info.precision.upper()} already; name the FP32 file that it was made from"
        )
    bare = strip_contract(model, str(path))
    sources = {**info.sources, path.name: sha256_of_file(path)}
    info = dataclasses.replace(info, sources=sources)
    return Source(path, bare, info, OnnxReference(bare, str(path)))
