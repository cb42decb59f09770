"""n2b-doctor collects facts that no broken library can keep it from, and says what to do."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from n2b.runtime.doctor.advice import problems_of
from n2b.runtime.doctor.facts import CameraFacts, Diagnosis, GpuFacts, Jetson, Machine, OpenCv, Trial
from n2b.runtime.doctor.machine import cpu_features, find_cameras, find_jetson, find_machine, jetpack_of
from n2b.runtime.doctor.probe import probe
from n2b.runtime.doctor.text import to_text

MACHINE = Machine("Linux 6.1 x86_64", "3.11.7", "A CPU", ("AVX2",), 4, 8, 9000.0, 16000.0, 0.1, False)
OPENCV = OpenCv("4.8.0", "/usr/lib/python3/dist-packages/cv2.so", (), True, True, True, "GTK3")
GPU = GpuFacts("Orin", "8.7", True, "12.6", "540.4.0", 5000.0, 8000.0)
ON_CPU = Trial(
    "auto", "auto", "works", "", "openvino", "cpu", "bf16", 2.2, ("onnxruntime: 0.6× as fast here",), "m"
)
HEALTHY = Diagnosis(
    "0.1.0", MACHINE, None, "no NVIDIA driver", None, (), OPENCV, "",
    {"numpy": "1.26.4", "openvino": "2026.4"}, (ON_CPU,),
)  # fmt: skip


def advice(**changes: Any) -> str:
    return "\n".join(problems_of(dataclasses.replace(HEALTHY, **changes)))


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """broken(module, code): other processes get a module that runs this code as it is imported."""

    def install(module: str, code: str) -> None:
        (tmp_path / f"{module}.py").write_text(code)
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(tmp_path), *filter(None, sys.path))))

    return install


def test_a_healthy_machine_has_no_problems():
    assert problems_of(HEALTHY) == ()
    assert to_text(HEALTHY).endswith("No problems found.")


def test_a_library_that_crashes_ends_only_its_probe(broken):
    broken("cv2", "import os, sys; print('bad instruction', file=sys.stderr, flush=True); os.abort()")
    assert probe("opencv") == {"reason": "crashed: SIGABRT; bad instruction"}


def test_a_library_that_hangs_is_given_up(broken):
    broken("cv2", "import time; time.sleep(60)")
    assert probe("opencv", timeout_s=3) == {"reason": "did not end within 3 s"}


def test_what_a_library_prints_does_not_hide_the_facts(broken):
    broken(
        "cv2",
        "__version__ = '9'; print('{')\ndef getBuildInformation(): return '  GUI:  QT\\n'\nimdecode = 0",
    )
    assert probe("opencv")["windows"] == "QT"


@pytest.mark.openvino
def test_it_tells_what_runs_here():
    ran = doctor("--json", "-m", "camera")
    facts = json.loads(ran.stdout)
    assert ran.returncode == 0, ran.stderr
    auto, *others = facts["trials"]
    assert auto["backend"] == "auto" and auto["outcome"] == "works" and auto["mp_per_s"] > 0
    assert {trial["backend"] for trial in others} >= {"openvino", "onnxruntime"}
    assert facts["packages"]["numpy"] and facts["machine"]["cores"] >= 1


def test_without_any_library_the_status_is_1_and_the_first_problem_says_what_to_install(broken):
    for name in ("onnxruntime", "openvino"):
        broken(name, f"raise ModuleNotFoundError(name={name!r})")
    ran = doctor("-m", "camera")
    assert ran.returncode == 1
    problems = [line for line in ran.stdout.splitlines() if line.startswith("! ")]
    assert problems[0].startswith("! no backend runs a model: onnxruntime is not installed: pip install")
    assert len(ran.stdout.splitlines()) <= 40


def test_a_model_that_does_not_exist_is_a_mistake_of_the_user():
    ran = doctor("-m", "nothing.onnx")
    assert ran.returncode == 2 and ran.stderr.startswith("n2b-doctor: there is no model nothing.onnx")


def doctor(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "n2b.runtime.doctor", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_an_idle_gpu_has_its_reason_and_the_remedy():
    nothing = Trial(
        "onnxruntime", "cuda", "missing", "this ONNX Runtime was built without CUDA: pip install x"
    )
    assert "noise2blur[gpu]" in advice(gpu=GPU, trials=(ON_CPU, nothing))
    broken = Trial("onnxruntime", "cuda", "fails", "ONNX Runtime cannot start CUDA: it needs cuDNN")
    assert "it needs cuDNN" in advice(gpu=GPU, trials=(ON_CPU, broken))
    ready = Trial("tensorrt", "cuda", "ready", "10.3; there is no engine yet: n2b-export camera --fp16")
    assert "build one: n2b-export camera --fp16" in advice(gpu=GPU, trials=(ON_CPU, ready))
    on_gpu = dataclasses.replace(ON_CPU, device="cuda:0", library="tensorrt")
    assert "not used" not in advice(gpu=GPU, trials=(on_gpu,))


def test_bindings_for_a_newer_cuda_than_the_driver_s_are_named():
    newer = advice(gpu=GPU, packages={"cuda-bindings": "13.5.0"})
    assert "pip install 'cuda-bindings~=12.6'" in newer
    assert "cuda-bindings" not in advice(gpu=GPU, packages={"cuda-bindings": "12.9.1"})
    assert "engines need cuda-bindings" in advice(gpu=GPU, packages={"tensorrt": "10.3.0"})


def test_a_jetson_in_a_slow_power_mode_and_with_pips_opencv_is_told():
    jetson = Jetson("Orin Nano", "36.4.3", "6.2", "15W", ("0 15W", "2 MAXN_SUPER"))
    pips = dataclasses.replace(OPENCV, gstreamer=False, packages=("opencv-python",))
    lines = advice(jetson=jetson, gpu=GPU, opencv=pips, packages={"opencv-python": "4.11", "openvino": "1"})
    assert "sudo nvpmodel -m N" in lines and "2 MAXN_SUPER" in lines
    assert "pip uninstall opencv-python" in lines
    assert "usermod -aG video,render" in advice(jetson=jetson)


def test_further_problems_have_a_remedy_each():
    assert "pip uninstall -y onnxruntime onnxruntime-gpu && pip install onnxruntime-gpu" in advice(
        packages={"onnxruntime": "1", "onnxruntime-gpu": "1", "openvino": "1"}
    )
    assert "pip install 'numpy<2'" in advice(
        opencv=None, opencv_reason="numpy.core.multiarray failed to import"
    )
    assert "noise2blur[openvino]" in advice(packages={})
    assert "sudo usermod -aG video $USER" in advice(cameras=(CameraFacts("/dev/video0", "Cam", False),))
    assert "300 MB" in advice(machine=dataclasses.replace(MACHINE, free_mb=300.0))
    assert "load 9.0" in advice(machine=dataclasses.replace(MACHINE, load=9.0))
    assert "--cpus" in advice(machine=dataclasses.replace(MACHINE, cores=1))
    assert "no AVX2" in advice(machine=dataclasses.replace(MACHINE, features=()))


def test_everything_fits_one_screen():
    trials = (ON_CPU, *(Trial(f"backend-{n}", "cuda", "fails", "reason " * 20) for n in range(4)))
    jetson = Jetson("NVIDIA Jetson Orin Nano Developer Kit", "36.4.3", "6.2", "15W", ())
    facts = dataclasses.replace(
        HEALTHY, trials=trials, gpu=GPU, jetson=jetson, problems=("problem " * 20,) * 4
    )
    lines = to_text(facts).splitlines()
    assert len(lines) <= 40 and max(map(len, lines)) <= 100
    assert "auto takes openvino on cpu in bf16, 2.20 MP/s, model m" in lines
    assert "  not onnxruntime: 0.6× as fast here" in lines


def test_a_jetson_is_read_from_its_files(tmp_path):
    assert find_jetson(tmp_path) is None
    write(tmp_path / "etc/nv_tegra_release", "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic")
    write(tmp_path / "proc/device-tree/model", "NVIDIA Jetson Orin NX\0")
    write(tmp_path / "etc/nvpmodel.conf", "< POWER_MODEL ID=0 NAME=MAXN >\n< POWER_MODEL ID=1 NAME=10W >\n")
    jetson = find_jetson(tmp_path)
    assert jetson is not None
    assert (jetson.model, jetson.l4t, jetson.jetpack) == ("NVIDIA Jetson Orin NX", "36.4.3", "6.2")
    assert jetson.power_modes == ("0 MAXN", "1 10W")


@pytest.mark.parametrize(
    ("l4t", "jetpack"), [("36.4.0", "6.1"), ("36.4.4", "6.2.1"), ("35.6.1", "5.1"), ("99.1", ""), ("", "")]
)
def test_a_release_of_l4t_has_its_jetpack(l4t, jetpack):
    assert jetpack_of(l4t) == jetpack


def test_instruction_sets_have_their_usual_names():
    assert cpu_features("flags\t\t: fpu avx2 avx512f avx512_vnni avx_vnni\n") == ("AVX2", "AVX-512", "VNNI")
    assert cpu_features("Features\t: fp asimd asimddp\n") == ("NEON", "dot product")
    assert cpu_features("") == ()


def test_memory_is_bounded_by_the_container(tmp_path):
    write(tmp_path / "proc/meminfo", "MemTotal: 16000000 kB\nMemAvailable: 9000000 kB\n")
    write(tmp_path / "sys/fs/cgroup/memory.max", "2000000000\n")
    write(tmp_path / "sys/fs/cgroup/memory.current", "500000000\n")
    write(tmp_path / "sys/fs/cgroup/memory.stat", "inactive_file 0\n")
    machine = find_machine(tmp_path)
    assert (machine.memory_mb, machine.free_mb) == (2000.0, 1500.0)


def test_cameras_have_their_names_and_permissions(tmp_path):
    write(tmp_path / "dev/video0", "")
    write(tmp_path / "sys/class/video4linux/video0/name", "A camera\n")
    assert find_cameras(tmp_path) == (CameraFacts("/dev/video0", "A camera", True),)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
