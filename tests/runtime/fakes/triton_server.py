"""A Triton Inference Server in a process of its own, from the wheel nvidia-pytriton.

It has Triton's Python backend alone, in which ONNX Runtime runs the exported file here. All else is the
server that users have: its config, its batcher, its gRPC.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

MODEL = """
import os, sys, time
sys.path[:0] = PATHS  # some builds of Triton ignore PYTHONPATH
from pathlib import Path
import numpy as np
import onnxruntime
import triton_python_backend_utils as triton

class TritonPythonModel:
    def initialize(self, args):
        self.folder = Path(args["model_repository"], args["model_version"])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(self.folder / "model.onnx"), options)
        self.most = 0

    def execute(self, requests):
        self.most = max(self.most, len(requests))
        (self.folder / "most").write_text(str(self.most))
        if (self.folder / "delay").exists():
            time.sleep(float((self.folder / "delay").read_text()))
        return [self.respond(request) for request in requests]

    def respond(self, request):
        image = np.from_dlpack(triton.get_input_tensor_by_name(request, "image"))
        (denoised,) = self.session.run(["denoised"], {"image": image})
        return triton.InferenceResponse([triton.Tensor.from_dlpack("denoised", denoised)])
"""


_PATIENCE_S = 100


class TritonServer:
    """A server of a model repository, on a free port; `start` and `kill` it as often as needed."""

    def __init__(self, folder: Path, *options: str) -> None:
        found = importlib.util.find_spec("pytriton")
        if found is None or found.origin is None:
            pytest.skip("nvidia-pytriton is not installed, which has a Triton server")
        self._home = Path(found.origin).parent / "tritonserver"
        self.repository, self._backends = folder / "models", folder / "backends"
        stub = self._home / "python_backend_stubs" / f"{sys.version_info.major}.{sys.version_info.minor}"
        shutil.copytree(self._home / "backends" / "python", self._backends / "python")
        shutil.copy(stub / "triton_python_backend_stub", self._backends / "python")
        (self._backends / "python" / "triton_python_backend_stub").chmod(0o755)
        self.repository.mkdir()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._log = folder / "server.log"
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    def serve_by_python(self, name: str) -> Path:
        """Have the exported model run by the Python backend; return the folder of its version."""
        config = self.repository / name / "config.pbtxt"
        config.write_text(
            config.read_text()
            .replace('platform: "onnxruntime_onnx"', 'backend: "python"')
            .replace("KIND_AUTO", "KIND_CPU")
        )
        version = self.repository / name / "1"
        packages = [path for path in sys.path if Path(path).name == "site-packages"]
        (version / "model.py").write_text(MODEL.replace("PATHS", repr(packages)))
        return version

    def start(self, name: str) -> None:
        """Start it, and wait until a model is ready."""
        import tritonclient.grpc as triton

        environment = dict(os.environ)
        libraries = self._home.parent.parent / "nvidia_pytriton.libs"
        environment["LD_LIBRARY_PATH"] = str(libraries)
        for variable in ("PYTHONPATH", "PYTHONSAFEPATH"):
            environment.pop(variable, None)
        command = [
            self._home / "bin" / "tritonserver", f"--model-repository={self.repository}",
            f"--backend-directory={self._backends}", f"--grpc-port={self.port}", "--grpc-address=127.0.0.1",
            "--allow-http=false", "--allow-metrics=false", "--exit-on-error=false", *self._options,
        ]  # fmt: skip
        with open(self._log, "ab") as log:
            self._process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        ends = time.monotonic() + _PATIENCE_S
        with triton.InferenceServerClient(f"127.0.0.1:{self.port}") as client:
            while time.monotonic() < ends:
                try:
                    if client.is_model_ready(name):
                        return
                except triton.InferenceServerException:
                    pass
                assert self._process.poll() is None, self._log.read_text()[-3000:]
                time.sleep(0.1)
        raise AssertionError(self._log.read_text()[-3000:])

    def kill(self) -> None:
        """End it by SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
