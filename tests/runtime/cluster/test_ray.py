"""Images are denoised on a Ray cluster of this machine as by the plain command, whatever dies meanwhile."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from n2b.runtime.cluster.storage import read_file, write_file, written
from n2b.runtime.images.image import Image, write_image

pytestmark = [
    pytest.mark.usefixtures("cluster"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of Ray, about itself
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
ON_CPU = ("--backend", "onnxruntime")  # without it the processes of the cluster would find OpenVINO


def add_images(folder: Path, count: int, side: int) -> None:
    random = np.random.default_rng(0)
    for number in range(count):
        pixels = random.integers(0, 256, (side, side + number, 3), dtype=np.uint8)
        write_image(folder / f"{number:02d}.png", Image(pixels))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.png")}


def workers() -> list[int]:
    """Return the processes below this one that denoise."""
    parents, names = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status = (folder / "stat").read_text()
            names[int(folder.name)] = (folder / "cmdline").read_text()
        except OSError:
            continue
        parents[int(folder.name)] = int(status[status.rindex(")") :].split()[2])
    found = []
    for process, name in names.items():
        ancestor = process
        while ancestor in parents and ancestor != os.getpid():
            ancestor = parents[ancestor]
        if ancestor == os.getpid() and "MapWorker" in name:
            found.append(process)
    return found


def test_results_are_those_of_the_plain_command_and_continue_each_other(n2b_infer, make_model, tmp_path):
    model = make_model("unet")
    add_images(tmp_path / "in" / "deep", 3, 90)
    (tmp_path / "in" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    options = ["in", "-m", model, "--tile", "64", "--skip-existing", *ON_CPU]
    assert n2b_infer(*options, "-o", "plain")[0] == 3
    n2b_infer("in/deep/00.png", *options[1:], "-o", "ray/deep")
    status, printed, errors = n2b_infer(*options, "-o", "ray", "--ray", "local", "--ray-actors", "2")
    assert status == 3, errors
    assert "2 models with 1 thread each" in errors and "left out: in/bad.png" in errors
    assert "failed, 1 of 3:" in errors and "2 images denoised, 1 skipped, 1 failed" in printed
    assert contents(tmp_path / "ray") == contents(tmp_path / "plain")
    status, printed, errors = n2b_infer(*options, "-o", "ray")
    assert "0 images denoised, 3 skipped, 1 failed" in printed, (printed, errors)


def test_images_go_from_bucket_to_bucket(n2b_infer, make_model, tmp_path, bucket):
    model = make_model("negative")
    add_images(tmp_path / "in", 2, 40)
    n2b_infer("in", "-m", model, "-o", "plain", *ON_CPU)
    for path in (tmp_path / "in").iterdir():
        write_file(f"{bucket}/in/{path.name}", path.read_bytes())
    write_file(f"{bucket}/in/bad.png", b"no image")
    options = [
        f"{bucket}/in",
        "-m",
        model,
        "-o",
        f"{bucket}/out",
        "--ray",
        "local",
        "--skip-existing",
        *ON_CPU,
    ]
    status, printed, errors = n2b_infer(*options)
    assert status == 3, errors
    assert f"left out: {bucket}/in/bad.png" in errors and "2 images denoised" in printed
    for name, content in contents(tmp_path / "plain").items():
        assert read_file(f"{bucket}/out/{name}") == content
    before = written(f"{bucket}/out/00.png")
    write_file(f"{bucket}/in/01.png", (tmp_path / "in" / "00.png").read_bytes())
    status, printed, errors = n2b_infer(*options)
    assert "1 image denoised, 1 skipped, 1 made again, 1 failed" in printed, (printed, errors)
    assert written(f"{bucket}/out/00.png") == before
    assert read_file(f"{bucket}/out/01.png") == read_file(f"{bucket}/out/00.png")


def test_a_killed_process_loses_nothing(n2b_infer, make_model, tmp_path):
    model = make_model("wide")
    add_images(tmp_path / "in", 16, 200)
    n2b_infer("in", "-m", model, "-o", "plain", *ON_CPU)
    killed: list[tuple[int, int]] = []

    def kill() -> None:
        while not list((tmp_path / "ray").glob("*.png")):
            time.sleep(0.01)
        victim = workers()[0]
        os.kill(victim, signal.SIGKILL)
        killed.append((victim, len(list((tmp_path / "ray").glob("*.png")))))

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    status, printed, errors = n2b_infer("in", "-m", model, "-o", "ray", "--ray", "local", *ON_CPU)
    assert status == 0, errors
    thread.join()
    assert re.search("16 images denoised", printed)
    assert contents(tmp_path / "ray") == contents(tmp_path / "plain")
    assert killed[0][1] < 16, "it was killed after the end"
