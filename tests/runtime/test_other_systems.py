"""n2b-infer where POSIX's modules and functions are absent, as under Windows."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np

WITHOUT_POSIX = """
import os, signal, sys
sys.path[:0] = {path!r}
import cv2, onnxruntime, typer, socket, subprocess, multiprocessing  # these may need them themselves
for module in ("fcntl", "resource", "pwd", "grp", "termios", "tty", "pty"):
    sys.modules[module] = None
for name in ("fork", "register_at_fork", "sysconf", "getuid", "geteuid", "getloadavg",
             "memfd_create", "pread", "sched_getaffinity", "O_NOFOLLOW", "O_DIRECTORY", "O_CLOEXEC", "chown",
             "fchmod", "mkfifo"):
    if hasattr(os, name):
        delattr(os, name)
for name in ("SIGHUP", "SIGUSR1", "SIGUSR2", "SIGPIPE", "SIGALRM", "SIGCHLD", "pthread_sigmask", "setitimer"):
    if hasattr(signal, name):
        delattr(signal, name)
"""
EVERY_MODULE = """
import importlib
for name in {modules!r}:
    importlib.import_module(name)
"""
COMMAND = """
from n2b.runtime.cli import main
options = ["-o", "out", "-m", "camera", "--backend", "onnxruntime"]
sys.argv = ["n2b-infer", "in.png", "in.jpg", "in.tiff", *options]
main()
"""


def test_every_module_is_imported_and_images_are_denoised(tmp_path: Path) -> None:
    import n2b.runtime

    runtime = Path(n2b.runtime.__file__).parent
    paths = (path.relative_to(runtime).with_suffix("") for path in runtime.rglob("*.py"))
    names = sorted(".".join(["n2b", "runtime", *path.parts]).removesuffix(".__init__") for path in paths)
    noisy = np.random.default_rng(0).normal(128, 25, (48, 64, 3)).clip(0, 255).astype(np.uint8)
    for suffix in ("png", "jpg", "tiff"):
        cv2.imwrite(str(tmp_path / f"in.{suffix}"), noisy)
    modules = [name for name in names if not name.endswith("__main__")]
    code = WITHOUT_POSIX.format(path=sys.path) + EVERY_MODULE.format(modules=modules) + COMMAND
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    for suffix in ("png", "jpg", "tiff"):
        clean = cv2.imread(str(tmp_path / "out" / f"in.{suffix}"))
        assert clean is not None and clean.std() < noisy.std()
