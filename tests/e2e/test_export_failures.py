"""n2b-export on bad files, a full disk, and Ctrl-C: one line, the right status, and nothing half-written."""

from __future__ import annotations

import errno
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from n2b.export import triton
from n2b.export.onnx.file import to_bytes
from n2b.runtime.model_files import bundled_models
from n2b.training.checkpoint import save_checkpoint
from n2b.training.models.edge import EdgeNet
from onnx import TensorProto, helper

from .commands import run_in

QUICK = ["--tile", "224", "--target", "none", "--no-verify"]


def changed(change: Callable[[onnx.ModelProto], object]) -> bytes:
    """The bundled model, changed."""
    model = onnx.load(str(bundled_models()["gaussian"]))
    change(model)
    return to_bytes(model)


def classifier() -> bytes:
    """A sound ONNX file that is no denoiser."""
    data = helper.make_tensor_value_info("data", TensorProto.FLOAT, [1, 3, 224, 224])
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 3, 224, 224])
    graph = helper.make_graph(
        [helper.make_node("Relu", ["data"], ["scores"])], "classifier", [data], [scores]
    )
    return to_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]))


def rename_the_input(model: onnx.ModelProto) -> None:
    model.graph.input[0].name = model.graph.node[0].input[0] = "picture"


def move_a_weight_to(location: str) -> Callable[[onnx.ModelProto], None]:
    def move(model: onnx.ModelProto) -> None:
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=location)

    return move


def edge_weights(**changes: object) -> dict[str, object]:
    weights = {**EdgeNet().state_dict(), **changes}
    return {name: value for name, value in weights.items() if value is not None}


def write_files(folder: Path) -> None:
    """A sound model.onnx, and bad files of all kinds."""
    sound = bundled_models()["gaussian"].read_bytes()
    (folder / "model.onnx").write_bytes(sound)
    (folder / "cut.onnx").write_bytes(sound[:-1000])
    for name in ("text.onnx", "text.pt", "notes.txt"):
        (folder / name).write_text("nothing of the kind")
    (folder / "empty").mkdir()
    (folder / "classifier.onnx").write_bytes(classifier())
    (folder / "renamed.onnx").write_bytes(changed(rename_the_input))
    (folder / "new.onnx").write_bytes(changed(lambda m: setattr(m.opset_import[0], "version", 99)))
    (folder / "absolute.onnx").write_bytes(changed(move_a_weight_to("/etc/hostname")))
    (folder / "above.onnx").write_bytes(changed(move_a_weight_to("../secret")))
    for name, changes in (("missing", {"unet.last.bias": None}), ("extra", {"more": 1})):
        networks = {"denoiser": edge_weights(**changes)}
        state = {"networks": networks, "trained": {}, "config": {"arch": "edge"}}
        save_checkpoint(folder / f"{name}.pt", state)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["none.onnx"], "none.onnx does not exist"),
        (["text.onnx"], "text.onnx is not an ONNX file, or is damaged"),
        (["cut.onnx"], "cut.onnx is not an ONNX file, or is damaged"),
        (["text.pt"], "text.pt is no checkpoint, or damaged"),
        (["notes.txt"], "notes.txt is neither a checkpoint"),
        (["empty"], "empty holds neither"),
        (["model.onnx", "--opset", "11"], "opset 11 is not supported; choose one of 17 to 20"),
        (["model.onnx", "--tile", "100"], "take a multiple of 32 px"),
        (["model.onnx", "--batch", "0"], "must be at least 1"),
        (["model.onnx", "--workspace", "0"], "must be above 0"),
        (["model.onnx", "--opt-shape", "1x64x64"], "--opt-shape is for engines of open size; add --dynamic"),
        (["model.onnx", "--dynamic", "--max-shape", "64x64"], "--max-shape takes a shape as NxHxW"),
        (["model.onnx", "--target", "none", "--dla", "0"], "--dla is for engines, and none is built"),
        (["model.onnx", "--engine", "model.plan"], "an engine's name ends in .engine"),
        (["model.onnx", "--io", "int8"], "'int8'"),
        (["model.onnx", "--target", "tpu"], "'tpu'"),
        (["model.onnx", "--out", "notes.txt"], "notes.txt names a file; --out takes a folder"),
        (["classifier.onnx"], "it takes 'data' of float32, 1×3×224×224, where one input 'image' of uint8"),
        (["renamed.onnx"], "it takes 'picture' of uint8, "),
        (["new.onnx"], "new.onnx is of opset 99; n2b reads 17 to 20"),
        (["absolute.onnx"], "keeps its weights in another file"),
        (["above.onnx"], "keeps its weights in another file"),
        (["missing.pt"], "weights of the architecture 'edge': 1 missing (unet.last.bias); train again"),
        (["extra.pt"], "weights of the architecture 'edge': 1 unknown ('more'); train again"),
        (["model.onnx", "--tile", "1208925819614629174706176"], "at most 65536"),
        (["model.onnx", "--workspace", "nan"], "must be above 0"),
        (["model.onnx", "--triton", "models", "--triton-name", "../up"], "'../up' cannot name a model"),
        (["model.onnx", "--triton", "new.onnx"], "new.onnx is a file; name the folder of a model repository"),
    ],
)
def test_a_mistake_ends_in_one_line_and_status_2(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
) -> None:
    write_files(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert run_in(tmp_path, monkeypatch, *arguments) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.startswith("n2b-export: ")
    assert error.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("full_at", ["exports", "model.onnx", "model.fp16.onnx", "config.pbtxt"])
def test_a_full_disk_ends_in_one_line_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], full_at: str
) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    write, mkdir = Path.write_bytes, Path.mkdir
    before = {"model.fp16.onnx": 1}.get(full_at, 0)  # files of this suffix that are written
    written: list[Path] = []

    def write_some(self: Path, data: bytes) -> int:
        if self.suffix == Path(full_at).suffix:
            written.append(self)
            if len(written) > before:
                write(self, data[: len(data) // 2])
                raise full
        return write(self, data)

    def make(self: Path, *args: Any, **more: Any) -> None:
        if self.name == full_at:
            raise full
        mkdir(self, *args, **more)

    monkeypatch.setattr(Path, "write_bytes", write_some)
    monkeypatch.setattr(Path, "mkdir", make)
    assert run_in(tmp_path, monkeypatch, "camera", "--fp16", "--triton", "models", *QUICK) == 2
    error = capsys.readouterr().err
    assert "No space left on device" in error
    assert error.startswith("n2b-export: cannot write ")
    assert ".part" not in error  # the temporary folder is nobody's business
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    command = "from n2b.export.cli import main; main()"
    arguments = ["camera", "--fp16", "--tile", "256", "--target", "none", "--triton", "models"]
    with subprocess.Popen(
        [sys.executable, "-u", "-c", command, *arguments],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        for line in process.stdout:
            if "verifying model.fp16.onnx" in line:  # model.onnx is written by then, out of sight
                process.send_signal(signal.SIGINT)
                break
        error = process.stderr.read()
    assert (process.returncode, error) == (130, "n2b-export: interrupted\n")
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_while_the_files_get_their_places_leaves_the_earlier_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["camera", "--fp16", "--out", "out", "--triton", "models", *QUICK]
    assert run_in(tmp_path, monkeypatch, *arguments) == 0
    before = {path: path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()}
    replace = Path.replace

    def interrupted(self: Path, target: Path) -> Path:
        if target == Path("models/n2b") / triton.CONFIG:
            raise KeyboardInterrupt
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", interrupted)
    assert run_in(tmp_path, monkeypatch, *arguments, "--io", "float32") == 130
    assert capsys.readouterr().err.endswith("n2b-export: interrupted\n")
    assert {path: path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()} == before
    assert sorted(path.name for path in (tmp_path / "models" / "n2b").iterdir()) == ["1", "config.pbtxt"]


@pytest.mark.parametrize("arguments", [[], ["--help"], ["camera", "--int8"]], ids=["bare", "help", "int8"])
def test_without_onnx_the_extra_is_named_and_help_is_shown(tmp_path: Path, arguments: list[str]) -> None:
    """The set-up that only infers has the command, too."""
    code = "import sys; sys.modules['onnx'] = None; from n2b.export.cli import main; main()"
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    if arguments == ["--help"]:
        assert (done.returncode, done.stderr) == (0, "") and "--fp16" in done.stdout
    else:
        assert done.returncode == 1
        assert done.stderr == "n2b-export: onnx is not installed: pip install 'noise2blur[export]'\n"
