"""Where camera frames go."""

import subprocess
import sys
from contextlib import closing
from typing import Any

import cv2
import numpy as np
import pytest
from n2b.runtime.errors import EnvironmentFault, UserError
from n2b.runtime.frame import Frame
from n2b.runtime.images.image import read_image
from n2b.runtime.sinks import FolderSink, InteractiveSink, Sink, WindowSink

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


def test_a_folder_is_written_by_one_sink_at_a_time(tmp_path):
    folder = tmp_path / "new"
    with closing(FolderSink(folder)) as first:
        first.write(frame(BEFORE), AFTER)
        program = "import sys\nfrom n2b.runtime.sinks import FolderSink\nFolderSink(sys.argv[1])"
        ran = subprocess.run(
            [sys.executable, "-c", program, folder], capture_output=True, text=True, check=False
        )
        assert (
            ran.returncode != 0 and "is being written by another n2b-infer; name another folder" in ran.stderr
        )
        with pytest.raises(
            UserError, match="is being written by another n2b-infer; name another folder with -o"
        ):
            FolderSink(folder / ".." / "new")
        first.write(frame(BEFORE), BEFORE)
    with closing(FolderSink(folder)) as second:
        second.write(frame(BEFORE), AFTER)
    assert sorted(path.name for path in folder.iterdir()) == ["000000.png", "000001.png", "000002.png"]


def test_a_folder_that_gets_no_frame_is_left_as_it_was(tmp_path):
    FolderSink(tmp_path / "new").close()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "old").mkdir()
    FolderSink(tmp_path / "old").close()
    assert (tmp_path / "old").is_dir()


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
        self.key, self.shape_hw = key, (0, 0)
        self.on_mouse: Any = None
        monkeypatch.setattr(cv2, "namedWindow", lambda *_: None)
        monkeypatch.setattr(cv2, "resizeWindow", lambda _, width, height: self._resize(height, width))
        monkeypatch.setattr(cv2, "getWindowImageRect", lambda _: (0, 0, *self.shape_hw[::-1]))
        monkeypatch.setattr(cv2, "setMouseCallback", lambda _, callback: setattr(self, "on_mouse", callback))
        monkeypatch.setattr(cv2, "imshow", lambda _, image: self.shown.append(image))
        monkeypatch.setattr(cv2, "waitKey", lambda _: self.key)
        monkeypatch.setattr(cv2, "getWindowProperty", lambda *_: is_visible)
        monkeypatch.setattr(cv2, "destroyAllWindows", self._close)

    def _resize(self, height, width):
        self.shape_hw = height, width

    def _close(self):
        self.closed += 1


def test_an_opencv_without_windows_says_what_to_do(monkeypatch):
    def fail(*_):
        raise cv2.error("The function is not implemented")

    _Windows(monkeypatch)
    monkeypatch.setattr(cv2, "namedWindow", fail)
    with pytest.raises(EnvironmentFault, match="cannot open windows; write frames with -o DIR") as caught:
        WindowSink()
    assert "\n" not in str(caught.value)


HEIGHT, WIDTH = 60, 200
DARK = np.full((HEIGHT, WIDTH, 3), (10, 20, 30), np.uint8)
LIGHT = np.full((HEIGHT, WIDTH, 3), (200, 210, 220), np.uint8)


def colours(image):
    """The colours, red first, below the words: at the left, in the middle, at the right."""
    return [tuple(image[50, x, ::-1].tolist()) for x in (20, image.shape[1] // 2, image.shape[1] - 20)]


def test_a_window_shows_before_and_after_divided_by_a_line(monkeypatch):
    windows = _Windows(monkeypatch)
    sink = WindowSink()
    assert sink.write(frame(DARK), LIGHT)
    assert windows.shown[0].shape == (HEIGHT, WIDTH, 3)
    assert colours(windows.shown[0]) == [(10, 20, 30), (255, 255, 255), (200, 210, 220)]
    sink.close()
    assert windows.closed == 1


def test_space_changes_between_both_before_and_after(monkeypatch):
    windows = _Windows(monkeypatch, key=32)
    sink = WindowSink()
    for _ in range(4):
        assert sink.write(frame(DARK), LIGHT)
    assert [colours(image)[0] for image in windows.shown] == [
        (10, 20, 30), (10, 20, 30), (200, 210, 220), (10, 20, 30),
    ]  # fmt: skip
    assert [colours(image)[2] for image in windows.shown] == [
        (200, 210, 220), (10, 20, 30), (200, 210, 220), (200, 210, 220),
    ]  # fmt: skip


def test_the_line_follows_the_mouse_while_a_button_is_held(monkeypatch):
    windows = _Windows(monkeypatch)
    sink = WindowSink()
    sink.write(frame(DARK), LIGHT)
    windows.on_mouse(cv2.EVENT_MOUSEMOVE, 5, 0, 0, None)
    windows.on_mouse(cv2.EVENT_MOUSEMOVE, 150, 0, cv2.EVENT_FLAG_LBUTTON, None)
    sink.write(frame(DARK), LIGHT)
    assert windows.shown[1][50, 140, 2] == 10 and windows.shown[1][50, 160, 2] == 200


def test_frames_are_drawn_at_the_windows_size_in_their_own_proportions(monkeypatch):
    windows = _Windows(monkeypatch)
    sink = WindowSink()
    sink.write(frame(DARK), LIGHT)
    windows.shape_hw = (300, 500)
    sink.write(frame(DARK), LIGHT)
    assert windows.shown[1].shape == (150, 500, 3)
    sink.write(frame(DARK[:30, :30]), LIGHT[:30, :30])
    assert windows.shown[2].shape == (300, 300, 3)


def test_grey_and_deep_frames_are_shown(monkeypatch):
    windows = _Windows(monkeypatch)
    sink = WindowSink()
    sink.write(frame(DARK[:, :, :1]), LIGHT[:, :, :1])
    sink.write(frame(DARK.astype(np.uint16) * 257), LIGHT.astype(np.uint16) * 257)
    sink.write(frame(DARK.astype(np.float32) / 255), LIGHT.astype(np.float32) / 255)
    assert colours(windows.shown[0])[0] == (10, 10, 10)
    assert [colours(image)[2] for image in windows.shown[1:]] == [(200, 210, 220)] * 2


@pytest.mark.parametrize(
    "key, is_visible", [(ord("q"), 1.0), (27, 1.0), (0x100000 + 27, 1.0), (-1, 0.0), (-1, -1.0)]
)
def test_q_escape_and_closing_the_window_end_it(monkeypatch, key, is_visible):
    _Windows(monkeypatch, key, is_visible)
    assert not WindowSink().write(frame(BEFORE), AFTER)


def test_other_keys_do_not_end_it(monkeypatch):
    _Windows(monkeypatch, ord("x"))
    assert WindowSink().write(frame(BEFORE), AFTER)


def test_between_frames_the_last_one_follows_keys_and_mouse(monkeypatch):
    windows = _Windows(monkeypatch)
    sink = WindowSink()
    assert isinstance(sink, InteractiveSink)
    assert sink.poll() and not windows.shown  # nothing to show yet, and no reason to end
    sink.write(frame(DARK), LIGHT)
    assert sink.poll() and len(windows.shown) == 1  # drawn once
    windows.on_mouse(cv2.EVENT_MOUSEMOVE, 150, 0, cv2.EVENT_FLAG_LBUTTON, None)
    assert sink.poll() and windows.shown[-1][50, 140, 2] == 10
    windows.key = 32
    sink.poll()
    windows.key = -1
    assert sink.poll() and colours(windows.shown[-1])[2] == (10, 20, 30)
    assert len(windows.shown) == 3
    windows.key = ord("q")
    assert not sink.poll()
    windows.key = -1
    assert not sink.write(frame(DARK), LIGHT) and len(windows.shown) == 3  # it is not opened again
