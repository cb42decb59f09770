"""Where camera frames go."""

import sys

import cv2
import numpy as np
import pytest
from n2b.runtime.errors import EnvironmentFault, UserError
from n2b.runtime.frame import Frame
from n2b.runtime.image import read_image
from n2b.runtime.sinks import FolderSink, Sink, WindowSink

BEFORE = np.zeros((4, 6, 3), np.uint8)
AFTER = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)


def frame(pixels):
    return Frame(pixels, "camera", 0, 0)


def test_a_folder_takes_the_denoised_frames_under_numbers(tmp_path):
    sink: Sink = FolderSink(tmp_path / "new" / "frames")
    assert sink.write(frame(BEFORE), AFTER)
    assert sink.write(frame(AFTER), BEFORE)
    sink.close()
    assert sorted(path.name for path in (tmp_path / "new" / "frames").iterdir()) == [
        "000000.png",
        "000001.png",
    ]
    assert np.array_equal(read_image(tmp_path / "new" / "frames" / "000000.png").pixels, AFTER)
    assert np.array_equal(read_image(tmp_path / "new" / "frames" / "000001.png").pixels, BEFORE)


def test_a_folder_that_has_frames_loses_none(tmp_path):
    for name in ("000009.png", "1000000.png", "notes.png", "2000000.txt"):
        (tmp_path / name).write_bytes(b"old")
    FolderSink(tmp_path).write(frame(BEFORE), AFTER)
    assert np.array_equal(read_image(tmp_path / "1000001.png").pixels, AFTER)
    assert (tmp_path / "1000000.png").read_bytes() == b"old"


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write"):
        FolderSink(tmp_path / "file").write(frame(BEFORE), AFTER)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux runs without a display")
def test_without_a_display_the_message_says_where_frames_can_go(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(EnvironmentFault, match=r"no display.*-o DIR"):
        WindowSink()


class _Windows:
    """Stands in for OpenCV's windows: what was shown, and the key that is pressed next."""

    def __init__(self, monkeypatch, key=-1, is_visible=1.0):
        self.shown = []
        self.closed = 0
        monkeypatch.setenv("DISPLAY", ":0")
        monkeypatch.setattr(cv2, "namedWindow", lambda *_: None)
        monkeypatch.setattr(cv2, "imshow", lambda _, picture: self.shown.append(picture))
        monkeypatch.setattr(cv2, "waitKey", lambda _: key)
        monkeypatch.setattr(cv2, "getWindowProperty", lambda *_: is_visible)
        monkeypatch.setattr(cv2, "destroyAllWindows", self._close)

    def _close(self):
        self.closed += 1


def test_an_opencv_without_windows_says_what_to_do(monkeypatch):
    def fail(*_):
        raise cv2.error("The function is not implemented")

    _Windows(monkeypatch)
    monkeypatch.setattr(cv2, "namedWindow", fail)
    with pytest.raises(EnvironmentFault, match="-o DIR, or pip install opencv-python ") as caught:
        WindowSink()
    assert "\n" not in str(caught.value)


def test_a_window_shows_both_side_by_side_in_the_order_that_opencv_wants(monkeypatch):
    windows = _Windows(monkeypatch)
    sink = WindowSink()
    assert sink.write(frame(BEFORE), AFTER)
    assert np.array_equal(windows.shown[0][:, :6], BEFORE)
    assert np.array_equal(windows.shown[0][:, 6:], AFTER[:, :, ::-1])
    assert sink.write(frame(BEFORE[:, :, :1]), AFTER[:, :, :1])
    assert np.array_equal(windows.shown[1][:, 6:], AFTER[:, :, :1])
    sink.close()
    assert windows.closed == 1


@pytest.mark.parametrize(
    "key, is_visible", [(ord("q"), 1.0), (27, 1.0), (0x100000 + 27, 1.0), (-1, 0.0), (-1, -1.0)]
)
def test_q_escape_and_closing_the_window_end_it(monkeypatch, key, is_visible):
    _Windows(monkeypatch, key, is_visible)
    assert not WindowSink().write(frame(BEFORE), AFTER)


def test_other_keys_do_not_end_it(monkeypatch):
    _Windows(monkeypatch, ord("x"))
    assert WindowSink().write(frame(BEFORE), AFTER)
