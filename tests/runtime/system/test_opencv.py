"""Finding OpenCV, and keeping it from printing."""

import subprocess
import sys

import pytest
from n2b.runtime.errors import MissingPackageError
from n2b.runtime.system.opencv import load_opencv, quiet


def test_the_module_is_returned_when_it_is_there():
    assert load_opencv().imdecode


def test_without_opencv_the_message_names_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(
        MissingPackageError, match="OpenCV is not installed: pip install opencv-python-headless"
    ):
        load_opencv()


def test_an_opencv_that_lacks_a_system_library_says_which_and_what_to_install_instead(monkeypatch, tmp_path):
    reason = "libGL.so.1: cannot open shared object file: No such file or directory"
    (tmp_path / "cv2.py").write_text(f"raise ImportError({reason!r})")
    monkeypatch.delitem(sys.modules, "cv2", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingPackageError) as caught:
        load_opencv()
    assert reason in str(caught.value)
    assert "pip install opencv-python-headless in its place" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_opencv_that_lacks_a_python_package_names_it(monkeypatch, tmp_path):
    (tmp_path / "cv2.py").write_text("import a_package_that_is_not_there")
    monkeypatch.delitem(sys.modules, "cv2", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingPackageError, match="a_package_that_is_not_there"):
        load_opencv()


def test_what_an_uninstalled_opencv_left_behind_is_not_taken_for_it(monkeypatch, tmp_path):
    (tmp_path / "cv2").mkdir()
    monkeypatch.delitem(sys.modules, "cv2", raising=False)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(MissingPackageError, match="cannot be loaded"):
        load_opencv()


def _stderr_of(program: str) -> str:
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return run.stderr


def test_quiet_silences_libraries_but_neither_python_nor_what_follows():
    program = """
import os, sys
from n2b.runtime.system.opencv import quiet
for turn in (1, 2):
    with quiet():
        os.write(2, b"a library\\n")
        print("python", turn, file=sys.stderr)
        with quiet():
            os.write(2, b"a library, deeper\\n")
        os.write(2, b"a library\\n")
    os.write(2, b"after\\n")
"""
    assert _stderr_of(program) == "python 1\nafter\npython 2\nafter\n"


def test_quiet_ends_when_the_last_of_several_threads_leaves_it():
    program = """
import os, sys, threading
from n2b.runtime.system.opencv import quiet
before = sys.stderr
def work():
    for _ in range(300):
        with quiet():
            os.write(2, b"a library\\n")
        print("python", file=sys.stderr)
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert sys.stderr is before
os.write(2, b"after\\n")
"""
    lines = _stderr_of(program).splitlines()
    assert lines[-1] == "after"
    assert "python" in lines


def test_quiet_does_nothing_to_a_process_without_standard_error():
    program = """
import os
from n2b.runtime.system.opencv import quiet
os.close(2)
with quiet():
    pass
"""
    assert _stderr_of(program) == ""


def test_quiet_ends_when_its_block_fails():
    with pytest.raises(KeyError), quiet():
        raise KeyError
    with quiet():
        pass


def test_recording_what_a_decoder_reports_prints_nothing_anywhere():
    """The first work that OpenCV shares among threads starts them; that was printed on standard output."""
    program = """
import cv2, numpy as np
from n2b.runtime.system.opencv import record_messages
pixels = np.zeros((480, 640, 3), np.uint16)
with record_messages():
    cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == ("", "")
