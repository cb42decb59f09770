"""n2b-infer over frames of a camera or a video, from its command line."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path

import numpy as np
import pytest
from n2b.runtime.images.image import read_image

from .images import only_line


class TestCamera:
    @pytest.fixture
    def video(self, tmp_path):
        cv2 = pytest.importorskip("cv2")
        path = tmp_path / "video.avi"
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (32, 24))
        if not writer.isOpened():
            pytest.skip("this OpenCV writes no video")
        for level in (40, 80, 120, 160):
            writer.write(np.full((24, 32, 3), level, np.uint8))
        writer.release()
        return path

    def test_frames_are_denoised_into_a_folder(self, n2b_infer, make_model, video, tmp_path):
        model = make_model("negative")
        status, out, _ = n2b_infer("--camera", video, "-o", "frames", "-m", model, "--frames", 3)
        assert status == 0 and out.startswith("3 images denoised")
        means = [read_image(path).pixels.mean() for path in sorted((tmp_path / "frames").iterdir())]
        np.testing.assert_allclose(means, [215, 175, 135], atol=3)

    def test_a_videos_end_ends_the_run(self, n2b_infer, make_model, video):
        status, out, _ = n2b_infer("--camera", video, "-o", "frames", "-m", make_model(), "--json")
        assert status == 0
        assert [image["source"] for image in json.loads(out)["images"]] == [
            f"{video} frame {i}" for i in range(4)
        ]

    @pytest.mark.skipif(bool(list(Path("/dev").glob("video*"))), reason="this machine has a camera")
    def test_without_a_camera_one_line_says_which_devices_there_are(self, n2b_infer, make_model):
        status, out, err = n2b_infer("--camera", 0, "-m", make_model())
        assert (status, out) == (1, "")
        assert "camera 0 does not open" in only_line(err)

    def test_a_page_is_served_in_the_place_of_a_window_and_beside_a_folder(
        self, n2b_infer, make_model, video, tmp_path, monkeypatch
    ):
        pytest.importorskip("websockets", reason="the package websockets is not installed")
        monkeypatch.delenv("DISPLAY", raising=False)
        for more in ([], ["-o", "frames"]):
            arguments = ["--camera", video, "--serve", "0", "-m", make_model(), *more]
            status, out, err = n2b_infer(*arguments)
            assert status == 0 and out.startswith("4 images denoised")
            assert re.search(r"^live page: http://127\.0\.0\.1:\d+/$", err, re.MULTILINE)
        assert len(list((tmp_path / "frames").iterdir())) == 4

    def test_a_port_in_use_is_one_line_before_the_model_is_loaded(self, n2b_infer, video):
        pytest.importorskip("websockets", reason="the package websockets is not installed")
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            status, out, err = n2b_infer("--camera", video, "--serve", port, "-m", "gaussian")
        assert (status, out) == (1, "")
        assert f"cannot serve at {port}" in only_line(err)

    def test_ctrl_c_ends_the_frames_and_reports_them(self, n2b_infer, make_model, video, monkeypatch):
        from n2b.runtime import sinks

        write = sinks.FolderSink.write

        def interrupted(self, before, after):
            if self._next == 2:
                raise KeyboardInterrupt
            return write(self, before, after)

        monkeypatch.setattr(sinks.FolderSink, "write", interrupted)
        status, out, err = n2b_infer("--camera", video, "-o", "frames", "-m", make_model())
        assert status == 0 and out.startswith("2 images denoised") and "interrupted" in err
