"""A damaged file is read, or refused in one line; none is half-exported, and none takes over.

N2B_FUZZ_COUNT scales the number of damaged files, N2B_FUZZ_SEED sets another series of them.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import numpy as np
import onnx
import pytest
from n2b.export import source
from n2b.runtime.errors import N2BError
from n2b.runtime.images.image import Image, read_image, write_image

from .file_mutations import change_bytes
from .files import FORMATS

resource = pytest.importorskip("resource", reason="memory is bounded by Unix's means")

HANGS_AFTER_S = 60
MEMORY_BYTES = 3 * 2**30  # beyond what the process has when the test begins
LONGEST_MESSAGE = 1000  # a message that holds a file's content is not for people
SHARE = int(os.environ.get("N2B_FUZZ_COUNT", "500")) / 500
SEED = os.environ.get("N2B_FUZZ_SEED", "")
RUNS_OF_N2B_INFER = 100
RUNS_IN_ONNX_RUNTIME = 300  # files whose graph reaches ONNX Runtime, which a bad one might crash

# Damage to these costs only what they record: it is measured, made or shown again, or left out.
NEVER_REFUSED = {
    "chosen.engine.json", "metrics.jsonl", "finished.jsonl", "cache.json", "label.npy", "snapshot.npz",
}  # fmt: skip

READ_ALL = """
import sys
from pathlib import Path
from n2b.export.source import load_source
from n2b.runtime.errors import N2BError
for path in sorted(Path(sys.argv[1]).iterdir()):
    print(path.name, flush=True)
    try:
        load_source(path)
    except N2BError as error:
        assert str(error).isprintable()
"""

# n2b-infer with each model, in one process: its status, and all that it prints.
DENOISE_WITH_ALL = """
import contextlib, io, json, signal, sys
from pathlib import Path
from n2b.runtime.cli import main

def hung(*_):
    raise TimeoutError

signal.signal(signal.SIGALRM, hung)
for path in sorted(Path(sys.argv[1]).glob("*.onnx")):
    print(json.dumps([path.name]), flush=True)
    options = ["-m", str(path), "--backend", "onnxruntime", "--device", "cpu", "--max-memory", "500"]
    sys.argv = ["n2b-infer", "image.png", "-o", f"{path.stem}.png", *options]
    said, status = io.StringIO(), None
    signal.alarm(60)
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            main()
        except SystemExit as end:
            status = end.code
        except BaseException as error:
            status = repr(error)
    signal.alarm(0)
    print(json.dumps([path.name, status, said.getvalue()]), flush=True)
"""


@pytest.fixture
def bounded() -> Iterator[None]:
    """More memory than a file of this size can need is an error."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = (
        int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else None
    )
    if pages is not None:
        used = pages * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY_BYTES, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@pytest.fixture
def silent() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@contextmanager
def no_hang() -> Iterator[None]:
    def hung(*_: object) -> None:
        raise TimeoutError(f"still at it after {HANGS_AFTER_S} s")

    before = signal.signal(signal.SIGALRM, hung)
    signal.alarm(HANGS_AFTER_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def damaged(name: str, sound: bytes, number: int) -> bytes:
    random = Random(f"{name} {SEED}{number}")
    return (change_bytes if number % 2 else FORMATS[name].change)(sound, random)


def what_is_wrong(name: str, data: bytes, folder: Path) -> tuple[str | None, bool]:
    """Return the fault that reading the file showed, if any, and whether it was accepted."""
    file, out = folder / name, folder / "out"
    file.write_bytes(data)
    try:
        with no_hang(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            FORMATS[name].read(file, out)
        accepted = True
    except N2BError as error:
        accepted = False
        message = str(error)
        if not message or not message.isprintable() or len(message) > LONGEST_MESSAGE:
            return f"its message is {message!r:.3000}", False
        if out.exists():
            return f"it left {sorted(out.rglob('*'))}", False
    except BaseException:
        return traceback.format_exc(), False
    finally:
        left = {path.name for path in folder.iterdir()} - {name, Path(name).stem, "out"}
        left |= {path.name for path in out.rglob("*") if path.name.startswith(".") or ".part" in path.name}
        shutil.rmtree(out, ignore_errors=True)
    return (f"there is now {left}" if left else None), accepted


@pytest.mark.slow
@pytest.mark.timeout(300 * max(1, SHARE))
@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.usefixtures("bounded", "silent")
def test_a_damaged_file_is_read_or_refused_in_one_line(
    name: str, exported: onnx.ModelProto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(source, "OnnxReference", lambda *_: None)  # ONNX Runtime has its own test
    sound = FORMATS[name].make(exported)
    complaints: list[str] = []
    outcomes: Counter[bool] = Counter()
    count = round(FORMATS[name].count * SHARE)
    for number in range(count):
        wrong, accepted = what_is_wrong(name, damaged(name, sound, number), tmp_path)
        outcomes[accepted] += 1
        if wrong:
            complaints.append(f"{name}, number {number}: {wrong}")
    assert not complaints, f"{len(complaints)} of {outcomes.total()}:\n" + "\n".join(complaints[:5])
    if name not in NEVER_REFUSED:
        assert outcomes[False] > count // 4, "the damage is too light to tell anything"


def test_graphs_that_pass_the_checks_do_not_crash_onnx_runtime(
    exported: onnx.ModelProto, tmp_path: Path
) -> None:
    name = "model.onnx"
    sound = FORMATS[name].make(exported)
    for number in range(RUNS_IN_ONNX_RUNTIME):
        (tmp_path / f"{number:05}.onnx").write_bytes(FORMATS[name].change(sound, Random(number)))
    done = subprocess.run(
        [sys.executable, "-c", READ_ALL, str(tmp_path)], capture_output=True, text=True, check=False
    )
    read = done.stdout.split()
    assert done.returncode == 0, f"{read[-1:]} ended in {done.returncode}: {done.stderr[-3000:]}"
    assert len(read) == RUNS_IN_ONNX_RUNTIME


@pytest.mark.slow
@pytest.mark.timeout(600 * max(1, SHARE))
def test_n2b_infer_with_a_damaged_model_gives_an_image_or_one_line(
    exported: onnx.ModelProto, tmp_path: Path
) -> None:
    name, pixels = "model.onnx", np.random.default_rng(0).integers(0, 256, (70, 90, 3), np.uint8)
    write_image(tmp_path / "image.png", Image(pixels))
    sound, count = FORMATS[name].make(exported), round(RUNS_OF_N2B_INFER * SHARE)
    (tmp_path / "whole.onnx").write_bytes(sound)
    for number in range(count):
        (tmp_path / f"{number:05}.onnx").write_bytes(damaged(name, sound, number))
    done = subprocess.run(
        [sys.executable, "-c", DENOISE_WITH_ALL, str(tmp_path)],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, f"{records[-1]} ended in {done.returncode}: {done.stderr[-3000:]}"
    ended = [record for record in records if len(record) == 3]
    assert len(ended) == count + 1
    outcomes: Counter[int] = Counter()
    for model, status, said in ended:
        result = tmp_path / f"{Path(model).stem}.png"
        complaints = [line for line in said.splitlines() if line.startswith("n2b-infer: ")]
        assert status in (0, 1, 2), (model, status, said)
        assert "Traceback" not in said, (model, said)
        assert (len(complaints), result.exists()) == ((0, True) if status == 0 else (1, False)), (model, said)
        assert not status or (complaints[0].isprintable() and len(complaints[0]) < LONGEST_MESSAGE), said
        assert status or read_image(result).pixels.shape == pixels.shape
        outcomes[status] += 1
    assert ended[-1][0] == "whole.onnx" and ended[-1][1] == 0, ended[-1]
    assert outcomes[2] > count // 4


def test_the_sound_files_are_read(
    exported: onnx.ModelProto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("model.onnx", "checkpoint.pt"):
        folder = tmp_path / Path(name).stem
        folder.mkdir()
        assert what_is_wrong(name, FORMATS[name].make(exported), folder) == (None, True)
    assert json.loads(FORMATS["model.engine.json"].make(exported))["schema"] == 1
