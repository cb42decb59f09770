"""n2b-infer over several cameras with one model."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest
from n2b.runtime.commands.camera_plan import plan_cameras
from n2b.runtime.commands.settings import CameraOptions
from n2b.runtime.errors import UserError
from n2b.runtime.images.image import read_image

from benchmarks.mjpeg_server import MjpegServer, read_number


@pytest.fixture
def servers() -> Iterator[list[MjpegServer]]:
    """Two cameras on the network."""
    with closing(MjpegServer(fps=60)) as first, closing(MjpegServer(fps=30)) as second:
        yield [first, second]


@pytest.fixture
def video(tmp_path):
    cv2 = pytest.importorskip("cv2")
    path = tmp_path / "video.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (32, 24))
    if not writer.isOpened():
        pytest.skip("this OpenCV writes no video")
    for level in (40, 80, 120):
        writer.write(np.full((24, 32, 3), level, np.uint8))
    writer.release()
    return path


class TestRun:
    def test_each_camera_has_its_own_folder_and_line(self, n2b_infer, make_model, servers, tmp_path):
        first, second = (server.url for server in servers)
        model = make_model("negative")
        status, out, err = n2b_infer(
            "--camera",
            f"door={first}",
            "--camera",
            second,
            "-o",
            "frames",
            "-m",
            model,
            "--frames",
            4,
            "--json",
        )
        reports = [json.loads(line) for line in out.splitlines()]
        assert status == 0
        assert [(one["camera"], one["denoised"]) for one in reports] == [("door", 4), ("camera-2", 4)]
        assert reports[0]["stream"]["frames"] == 4
        for name in ("door", "camera-2"):
            paths = sorted((tmp_path / "frames" / name).iterdir())
            numbers = [read_number(255 - read_image(path).pixels) for path in paths]
            assert len(numbers) == 4 and numbers == sorted(set(numbers))
            assert re.search(rf"^{name}: 4 frames, \d+ dropped", err, re.MULTILINE)

    def test_the_end_of_one_and_the_absence_of_another_stop_no_third(
        self, n2b_infer, make_model, servers, video, tmp_path
    ):
        with socket.create_server(("127.0.0.1", 0)) as unused:
            nowhere = f"rtsp://127.0.0.1:{unused.getsockname()[1]}/x"
        status, _, err = n2b_infer(
            *("--camera", video, "--camera", f"gone={nowhere}", "--camera", servers[0].url, "--headless"),
            *("-o", "frames", "-m", make_model(), "--max-seconds", 4),
        )  # fmt: skip
        assert status == 3
        assert (
            "camera gone: " in err
            and "; trying again" in err
            and "camera gone ended: it gave no frame" in err
        )
        assert len(list((tmp_path / "frames/camera-1").iterdir())) == 3
        assert len(list((tmp_path / "frames/camera-3").iterdir())) > 3

    def test_a_sink_that_fails_ends_its_camera_only(self, n2b_infer, make_model, video, tmp_path):
        (tmp_path / "cameras.toml").write_text(
            f'[[camera]]\nname = "a"\naddress = "{video}"\nrecord = "nowhere.txt/x.mp4"\n'
            f'[[camera]]\nname = "b"\naddress = "{video}"\nstrength = 0.0\noutput = "b"\n'
        )
        (tmp_path / "nowhere.txt").write_text("")
        status, out, err = n2b_infer("--cameras", "cameras.toml", "-m", make_model("negative"))
        assert status == 3 and "b: 3 images denoised" in out and "camera a ended: cannot write" in err
        means = [read_image(path).pixels.mean() for path in sorted((tmp_path / "b").iterdir())]
        np.testing.assert_allclose(means, [40, 80, 120], atol=3)  # strength 0

    @pytest.mark.parametrize(
        ("arguments", "reason"),
        [
            (["-o", "f", "--show"], "--show is for one camera"),
            ([], "several cameras have no window"),
            (["--record", "x.mp4"], "have the same --record"),
            (["--restream", "rtsp://127.0.0.1:9/x"], "have the same --restream"),
        ],
    )
    def test_what_several_cameras_cannot_share_is_refused(
        self, n2b_infer, make_model, video, arguments, reason
    ):
        status, _, err = n2b_infer("--camera", video, "--camera", video, "-m", make_model(), *arguments)
        assert status == 2 and reason in err


class TestPlan:
    def test_a_file_overrides_the_options(self, tmp_path):
        file = tmp_path / "cameras.toml"
        file.write_text('[[camera]]\naddress = 0\nname = "door"\nfps = 5\nrecord = "own.mp4"\n')
        options = CameraOptions(camera=("yard=1",), cameras=file, record=tmp_path / "{name}.mp4", width=640)
        yard, door = plan_cameras(options, tmp_path / "out", 0.5)
        assert (yard.name, yard.address, yard.record) == ("yard", "1", tmp_path / "yard.mp4")
        assert (door.name, door.address, str(door.record)) == ("door", "0", "own.mp4")
        assert (door.requested.fps, door.requested.width, door.strength) == (5, 640, 0.5)
        assert door.folder == tmp_path / "out" / "door"

    @pytest.mark.parametrize("camera", ["v4l2src device=/dev/video0 ! jpegdec", "rtsp://h/x?a=b", "csi://0"])
    def test_an_address_with_an_equals_sign_is_no_name(self, camera):
        (plan,) = plan_cameras(CameraOptions(camera=(camera,)), None, 1.0)
        assert plan.address == camera

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("x", "no TOML file"),
            ("a = 1", r"must consist of \[\[camera\]\] tables"),
            ("[[camera]]\nname = 'a'", "lacks its address"),
            ("[[camera]]\naddress = '0'\nspeed = 1", "has no 'speed'; it takes name"),
            ("[[camera]]\naddress = '0'\nstrength = 'x'", "strength is 'x'"),
            ("[[camera]]\naddress = '0'\nstrength = 2", "at most 1"),
            ("[[camera]]\naddress = '0'\nname = '../x'", "names no camera"),
            ("[[camera]]\naddress = '0'\nname = 'a'\n[[camera]]\naddress = '1'\nname = 'a'", "called a"),
        ],
    )
    def test_a_wrong_file_is_refused_in_one_line(self, tmp_path, text, reason):
        file = tmp_path / "cameras.toml"
        file.write_text(text)
        with pytest.raises(UserError, match=reason):
            plan_cameras(CameraOptions(cameras=file), None, 1.0)
