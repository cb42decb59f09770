"""Engines that do not fit: what is told, and how n2b-export is called to build them again."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from n2b.runtime.backends import open_backend
from n2b.runtime.backends.tensorrt import backend as tensorrt
from n2b.runtime.backends.tensorrt import engine_rebuild as module
from n2b.runtime.backends.tensorrt.engine_rebuild import run_export
from n2b.runtime.denoiser import Denoiser
from n2b.runtime.errors import EnvironmentFault, StaleEngineError, UserError
from n2b.runtime.model_files import ModelFiles
from n2b.runtime.model_info import ModelInfo
from n2b.runtime.system.files import sha256_of_file
from n2b.runtime.system.gpu import Gpu


@pytest.fixture
def stale(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An engine that was built on an Orin, on a machine with an RTX 4090; its ONNX file is beside it."""
    trt = ModuleType("tensorrt")
    trt.__dict__.update(__version__="10.3.0", Runtime=object)
    monkeypatch.setitem(sys.modules, "tensorrt", trt)
    monkeypatch.setattr(tensorrt, "find_gpu", lambda _index: Gpu("RTX 4090", "8.9"))
    onnx, path = tmp_path / "model.fp16.onnx", tmp_path / "model.fp16.engine"
    onnx.write_bytes(b"onnx")
    path.write_bytes(b"plan")
    engine = {"flavour": "tensorrt", "version": "10.3.0", "gpu": "Orin", "compute_capability": "8.7"}
    engine |= {"onnx": onnx.name, "onnx_sha256": sha256_of_file(onnx)}
    path.with_name("model.fp16.engine.json").write_text(ModelInfo("unet", engine=engine).to_json())
    return path


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that are run in place of n2b-export, which all fail with status 1."""
    commands: list[list[str]] = []

    def start(command: list[str], **options: Any) -> SimpleNamespace:
        assert options["stdout"] == 2
        commands.append(command)
        return SimpleNamespace(wait=lambda: 1)

    monkeypatch.setattr(subprocess, "Popen", start)
    return commands


def test_what_differs_and_what_to_do_is_told_in_one_line(stale: Path, exported: list[list[str]]) -> None:
    with pytest.raises(StaleEngineError) as caught:
        open_backend(ModelFiles(engine=stale))
    assert str(caught.value) == (
        f"{stale} does not fit: it was built on Orin (8.7), and this is RTX 4090 (8.9); rebuild it: "
        f"n2b-export {stale.with_suffix('.onnx')} --engine {stale} --target tensorrt"
    )
    assert exported == []


def test_an_onnx_file_that_was_replaced_is_told(stale: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensorrt, "find_gpu", lambda _index: Gpu("Orin", "8.7"))
    stale.with_suffix(".onnx").write_bytes(b"another")
    with pytest.raises(StaleEngineError, match=r"another model\.fp16\.onnx than the one next to it"):
        open_backend(ModelFiles(engine=stale))


def test_without_the_onnx_file_it_says_which_is_wanted(stale: Path, exported: list[list[str]]) -> None:
    stale.with_suffix(".onnx").unlink()
    for choice in ("never", "auto"):
        with pytest.raises(StaleEngineError, match=r"put model\.fp16\.onnx next to it, then n2b-export"):
            open_backend(ModelFiles(engine=stale), rebuild=choice)
    assert exported == []


def test_auto_runs_n2b_export_and_tells_when_it_fails(stale: Path, exported: list[list[str]]) -> None:
    with pytest.raises(
        EnvironmentFault, match=r"could not be rebuilt \(exit status 1.*then n2b-export /"
    ) as caught:
        Denoiser(stale, rebuild="auto")
    assert "\n" not in str(caught.value)
    onnx = str(stale.with_suffix(".onnx"))
    assert exported == [
        [sys.executable, "-m", "n2b.export", onnx, "--engine", str(stale), "--target", "tensorrt"]
    ]


def test_an_engine_that_still_does_not_fit_is_not_rebuilt_twice(
    stale: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    built: list[Path] = []
    monkeypatch.setattr(module, "run_export", lambda model, _arguments: built.append(model))
    with pytest.raises(StaleEngineError, match="does not fit"):
        open_backend(ModelFiles(engine=stale), rebuild="auto")
    assert "was rebuilt, since it was built on Orin" in caplog.text
    assert built == [stale]


def test_an_engine_gives_way_to_onnx_where_it_cannot_be_rebuilt(
    stale: Path, exported: list[list[str]], make_model: Any, caplog: pytest.LogCaptureFixture
) -> None:
    files = ModelFiles(onnx=make_model("blur"), engine=stale)
    assert open_backend(files, rebuild="auto").name == "onnxruntime"
    assert re.search(r"using .*model\.onnx, since .* could not be rebuilt", caplog.text)
    with pytest.raises(EnvironmentFault, match="could not be rebuilt"):
        open_backend(files, rebuild="auto", strict=True)
    assert len(exported) == 2


def test_without_n2b_export_it_says_what_to_install(stale: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "n2b.export", None)
    with pytest.raises(EnvironmentFault, match=r"pip install 'noise2blur\[export\]', then n2b-export a b"):
        run_export(stale, ["a", "b"])


def test_another_choice_is_refused(stale: Path) -> None:
    with pytest.raises(UserError, match="an engine is rebuilt auto or never, not 'always'"):
        open_backend(ModelFiles(engine=stale), rebuild="always")


SLOW_TO_END = """
import signal, sys, time
def end(*_):
    time.sleep({seconds})
    print("ended in order", file=sys.stderr, flush=True)
    sys.exit(130)
signal.signal(signal.SIGINT, end)
signal.signal(signal.SIGTERM, signal.SIG_DFL)
open({ready!r}, "w").close()
signal.pause()
"""


@pytest.mark.parametrize(("seconds", "patience_s", "told"), [(0.2, 30, "ended in order"), (60, 0.2, "")])
def test_ctrl_c_lets_n2b_export_end_in_order_but_not_for_ever(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    seconds: float,
    patience_s: float,
    told: str,
) -> None:
    ready = tmp_path / "ready"
    (tmp_path / "slow_export.py").write_text(SLOW_TO_END.format(seconds=seconds, ready=str(ready)))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    wait, waited = subprocess.Popen.wait, []

    def press_ctrl_c(export: subprocess.Popen[bytes], timeout: float | None = None) -> int:
        waited.append(timeout)
        if len(waited) == 1:  # a terminal sends it to both
            while not ready.exists():
                time.sleep(0.01)
            export.send_signal(signal.SIGINT)
            raise KeyboardInterrupt
        return wait(export, timeout)

    monkeypatch.setattr(subprocess.Popen, "wait", press_ctrl_c)
    with pytest.raises(KeyboardInterrupt):
        run_export(tmp_path / "model.engine", [], package="slow_export", last_step_s=patience_s)
    assert waited[:2] == [None, patience_s]
    assert told in capfd.readouterr().err
    assert len(waited) == (2 if told else 3)
