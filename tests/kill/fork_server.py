"""Run commands in forks of one process that has imported all heavy packages, and kill some of them.

Each line of standard input is a request in JSON, each line of standard output its answer; see processes.py.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import time
from typing import Any

HEAVY = "numpy cv2 av tifffile h5py scipy.io onnxruntime onnx torch lightning_fabric jinja2 matplotlib.pyplot"
COMMANDS = {"n2b-infer": "n2b.runtime.cli", "n2b-train": "n2b.training.cli", "n2b-export": "n2b.export.cli"}
# What happens to files, as Python names it to its audit hooks before it does it.
EVENTS = frozenset({"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.link",
                    "os.symlink", "os.truncate"})  # fmt: skip
POLL_S = 0.001


def main() -> None:
    sys.modules["openvino"] = None  # type: ignore[assignment]  # its results differ between CPUs
    for name in [*HEAVY.split(), *COMMANDS.values(), "n2b.training.loop", "n2b.export.exporter"]:
        importlib.import_module(name)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Run a command, and kill it after `after_s`, or before its file event number `at_event`."""
    counted, count = os.pipe()
    started = time.monotonic()
    process = os.fork()
    if process == 0:
        os.close(counted)
        run(request, count)
    os.close(count)
    after_s = request["after_s"]
    while not (ended := os.waitpid(process, os.WNOHANG))[0]:
        if after_s is not None and time.monotonic() - started >= after_s:
            os.kill(process, signal.SIGKILL)
            after_s = None
        time.sleep(POLL_S)
    seconds = time.monotonic() - started
    with os.fdopen(counted, "rb") as file:
        events = int(file.read() or 0)
    return {"status": os.waitstatus_to_exitcode(ended[1]), "seconds": seconds, "events": events}


def run(request: dict[str, Any], count: int) -> None:
    """Run a command in this forked process, which ends with it."""
    status: Any = 1
    try:
        os.chdir(request["folder"])
        os.environ.update(request["environment"])
        with open(request["log"], "wb", buffering=0) as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        events = FileEvents(request["folder"], request["at_event"])
        sys.addaudithook(events)
        sys.argv = [request["program"], *request["arguments"]]
        try:
            importlib.import_module(COMMANDS[request["program"]]).main()
        except SystemExit as ended:
            status = ended.code
        os.write(count, str(events.number).encode())
        sys.stdout.flush()
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status if isinstance(status, int) else 1)


class FileEvents:
    """Counts what a process does to the files of a folder, and kills it just before one of these events."""

    def __init__(self, folder: str, last: int | None) -> None:
        self.number = 0
        self._folder = folder + os.sep
        self._last = last

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in EVENTS or not self._is_change(event, arguments):
            return
        self.number += 1
        if self.number == self._last:
            os.kill(os.getpid(), signal.SIGKILL)

    def _is_change(self, event: str, arguments: tuple[Any, ...]) -> bool:
        if event == "open" and not arguments[2] & (os.O_WRONLY | os.O_RDWR):
            return False
        path = arguments[0]
        if not isinstance(path, str | bytes | os.PathLike):
            return False
        name = os.fsdecode(path)
        return not name.startswith("/") or name.startswith(self._folder)


if __name__ == "__main__":
    main()
