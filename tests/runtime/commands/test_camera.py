"""n2b-infer over cameras and videos: real streams of this machine, ends in good order and in bad."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest
from n2b.runtime.images.image import read_image
from n2b.runtime.video import description

from benchmarks.mjpeg_server import MjpegServer, read_number

from ..fakes.videos import decoded_frames, encode, first_frame, frame_pixels, frame_times, make_video, packets

COMMAND = [sys.executable, "-c", "from n2b.runtime.cli import main; main()"]
PATIENCE_S = 30
TICKS = [0, 512, 1024, 2048, 2560]


@pytest.fixture
def server() -> Iterator[MjpegServer]:
    """A camera on the network, 60 frames a second."""
    with closing(MjpegServer(fps=60)) as server:
        yield server


def wait_until(condition) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


class TestCamera:
    def test_frames_of_a_network_camera_are_denoised_into_images(
        self, n2b_infer, make_model, server, tmp_path
    ):
        model = make_model("negative")
        status, out, err = n2b_infer("--camera", server.url, "-o", "frames", "-m", model, "--frames", 5)
        assert status == 0 and out.startswith("5 images denoised")
        summary = r"5 frames, \d+ dropped, 0 corrupt, 0 times reconnected; at the end"
        assert re.match(summary, err.splitlines()[-1])
        paths = sorted((tmp_path / "frames").iterdir())
        numbers = [read_number(255 - read_image(path).pixels) for path in paths]
        assert len(numbers) == 5 and numbers == sorted(set(numbers))

    def test_max_seconds_end_it_also_while_the_camera_is_lost(self, n2b_infer, make_model, server):
        closer = threading.Timer(0.5, server.close)
        closer.start()
        started = time.monotonic()
        status, _, err = n2b_infer(
            "--camera", server.url, "--headless", "-m", make_model(), "--max-seconds", 1.5
        )
        closer.join()
        assert status == 0 and "is lost; reconnecting" in err
        assert 1.5 <= time.monotonic() - started < PATIENCE_S

    def test_two_cameras_do_not_write_to_one_folder(self, n2b_infer, make_model, server, tmp_path):
        folder, model = tmp_path / "frames", make_model()
        command = [*COMMAND, "--camera", server.url, "-o", str(folder), "-m", str(model)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as run:
            wait_until(lambda: folder.is_dir() and len(list(folder.glob("0*.png"))) > 2)
            status, out, err = n2b_infer("--camera", server.url, "-o", "frames", "-m", model, "--frames", 3)
            run.send_signal(signal.SIGINT)
        assert (run.returncode, status, out) == (0, 2, "")
        assert "frames is being written by another n2b-infer; name another folder with -o" in err
        before = len(list(folder.iterdir()))
        assert n2b_infer("--camera", server.url, "-o", "frames", "-m", model, "--frames", 3)[0] == 0
        assert len(list(folder.iterdir())) == before + 3

    def test_a_lost_camera_is_opened_again_where_nobody_reads_the_messages(
        self, make_model, server, tmp_path
    ):
        folder = tmp_path / "frames"
        command = [
            *COMMAND,
            "--camera",
            server.url,
            "-o",
            str(folder),
            "-m",
            str(make_model()),
            "--frames",
            "40",
        ]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
            assert run.stdout is not None and run.stderr is not None
            wait_until(lambda: folder.is_dir() and len(list(folder.glob("0*.png"))) > 2)
            run.stderr.close()
            server.hang_up()
            assert run.stdout.read().startswith("40 images denoised")
        assert run.returncode == 0

    def test_a_recording_has_each_frame_once(self, n2b_infer, make_model, server, tmp_path):
        status, _, _ = n2b_infer(
            "--camera", server.url, "--record", "out.mp4", "-m", make_model("identity"), "--frames", 20
        )
        assert status == 0
        numbers = [read_number(pixels) for pixels in decoded_frames(tmp_path / "out.mp4")]
        assert len(numbers) == 20 and numbers == sorted(set(numbers))
        times = frame_times(tmp_path / "out.mp4")
        assert times[0] == 0 and times == sorted(set(times))

    def test_pictures_and_a_video_in_one_run(self, n2b_infer, make_model, server, tmp_path):
        n2b_infer(
            "--camera", server.url, "--record", "out.mkv", "-o", "frames", "-m", make_model(), "--frames", 3
        )
        assert len(decoded_frames(tmp_path / "out.mkv")) == len(list((tmp_path / "frames").iterdir())) == 3

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_a_signal_ends_it_in_good_order(self, make_model, server, tmp_path, number):
        folder, video = tmp_path / "frames", tmp_path / "out.mp4"
        arguments = ["--camera", server.url, "--record", video, "-o", folder, "-m", make_model()]
        with subprocess.Popen([*COMMAND, *map(str, arguments)], stdout=subprocess.PIPE, text=True) as run:
            wait_until(lambda: folder.is_dir() and len(list(folder.iterdir())) > 5)
            run.send_signal(number)
            out, _ = run.communicate(timeout=PATIENCE_S)
        assert run.returncode == 0 and "images denoised" in out
        assert len(decoded_frames(video)) == len(list(folder.iterdir()))

    def test_a_kill_leaves_nothing_under_the_final_name(self, make_model, server, tmp_path):
        folder, video = tmp_path / "frames", tmp_path / "video" / "out.mp4"
        arguments = ["--camera", server.url, "--record", video, "-o", folder, "-m", make_model("identity")]
        with subprocess.Popen([*COMMAND, *map(str, arguments)], stdout=subprocess.DEVNULL) as run:
            wait_until(lambda: folder.is_dir() and len(list(folder.glob("*.png"))) > 80)
            run.kill()
        (unfinished,) = video.parent.iterdir()
        assert unfinished.name.startswith(".") and ".part" in unfinished.name
        assert len(decoded_frames(unfinished)) >= 30  # and what there is can be played
        for path in folder.glob("[0-9]*.png"):
            read_image(path)

    def test_a_full_disk_is_one_line_and_status_2(self, make_model, server, tmp_path):
        pytest.importorskip("resource", reason="needs Unix, whose limits stand in for a full disk")
        code = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000)); " + COMMAND[2]
        arguments = ["--camera", server.url, "--record", tmp_path / "video/out.mp4", "-m", make_model()]
        run = subprocess.run(
            [sys.executable, "-c", code, *map(str, arguments)],
            capture_output=True, text=True, timeout=PATIENCE_S, check=False,
        )  # fmt: skip
        assert run.returncode == 2
        assert "out.mp4: File too large; free space or choose another folder" in run.stderr.splitlines()[-1]
        assert "Traceback" not in run.stderr
        assert list((tmp_path / "video").iterdir()) == []

    @pytest.mark.parametrize(
        "arguments, words",
        [
            (["--camera", "0", "-o", "out.mp4"], "with --record out.mp4"),
            (["--camera", "0", "--show", "--headless"], "leave one of them out"),
            (["a.png", "--record", "out.mp4"], "--record is for a camera"),
            (["a.png", "--max-seconds", "3"], "--max-seconds is for a camera"),
            (["a.png", "--show"], "--show is for a camera"),
            (["--camera", "rtsp://host/1", "--width", "640"], "for local cameras"),
        ],
    )
    def test_options_that_do_not_fit_are_refused(self, n2b_infer, arguments, words):
        status, out, err = n2b_infer(*arguments)
        assert (status, out) == (2, "") and words in err and err.count("\n") == 1


class TestVideos:
    def test_every_frame_is_denoised_and_the_sound_copied(self, n2b_infer, make_model, tmp_path):
        make_video(tmp_path / "video.mp4", TICKS)
        status, out, _ = n2b_infer("video.mp4", "-o", "clean.mp4", "-m", make_model("negative"))
        assert status == 0 and out.startswith("5 images denoised")
        assert frame_times(tmp_path / "clean.mp4") == frame_times(tmp_path / "video.mp4")
        assert packets(tmp_path / "clean.mp4", "audio") == packets(tmp_path / "video.mp4", "audio")
        for number, pixels in enumerate(decoded_frames(tmp_path / "clean.mp4")):
            assert np.abs(255 - frame_pixels(number).astype(int) - pixels).mean() < 6

    @pytest.mark.parametrize("dtype, pix_fmt", [("uint8", "yuv420p"), ("float32", "yuv420p10le")])
    def test_ten_bits_are_kept_by_a_model_that_takes_them(
        self, n2b_infer, make_model, tmp_path, dtype, pix_fmt
    ):
        encode(tmp_path / "video.mkv", [frame_pixels(0)] * 2, "ffv1", "yuv420p10le")
        model = make_model("identity", io=dtype)
        status, _, err = n2b_infer("video.mkv", "-o", "clean.mkv", "-m", model)
        assert status == 0 and first_frame(tmp_path / "clean.mkv").format.name == pix_fmt
        warning = "video.mkv: its 10 bits per channel become 8; a model from n2b-export "
        assert (warning in err) == (dtype == "uint8")
        encode(tmp_path / "deep.mkv", [frame_pixels(0)] * 2, "ffv1", "yuv422p12le")
        status, _, err = n2b_infer("deep.mkv", "-o", "clean.mkv", "-m", model)
        assert status == 0 and f"its 12 bits per channel become {8 if dtype == 'uint8' else 10}" in err

    @pytest.mark.parametrize(
        "kind, name", [("DYNAMIC_HDR_PLUS", "HDR10+"), ("DOVI_METADATA", "Dolby Vision"), (None, None)]
    )
    def test_metadata_of_each_frame_that_are_left_out_are_warned_of(
        self, n2b_infer, make_model, tmp_path, monkeypatch, kind, name
    ):
        encode(tmp_path / "video.mkv", [frame_pixels(0)] * 2)
        found = {kind: b"metadata"}  # no encoder of PyAV writes them
        monkeypatch.setattr(description, "side_data", lambda _frame, wanted: found.get(wanted))
        status, _, err = n2b_infer("video.mkv", "-o", "clean.mkv", "-m", make_model())
        assert status == 0
        assert ("metadata are left out; PQ and HLG tags are kept" in err) == (name is not None)
        assert name is None or f"warning: video.mkv: its {name} metadata" in err

    def test_a_video_that_fails_is_named_and_the_rest_is_done(self, n2b_infer, make_model, tmp_path):
        make_video(tmp_path / "b.mp4", TICKS, sound=None)
        (tmp_path / "a.mp4").write_text("no video")
        status, out, err = n2b_infer("*.mp4", "-o", "out", "-m", make_model(), "--json")
        assert status == 3
        assert "left out: a.mp4 is not a video that FFmpeg can decode" in err
        assert (json.loads(out)["denoised"], json.loads(out)["failed"]) == (5, 1)
        assert [path.name for path in (tmp_path / "out").glob("*.*4")] == ["b.mp4"]

    def test_a_result_that_is_there_can_be_skipped(self, n2b_infer, make_model, tmp_path):
        make_video(tmp_path / "a.mp4", TICKS, sound=None)
        arguments = ["a.mp4", "-o", "out", "-m", make_model(), "--skip-existing"]
        assert n2b_infer(*arguments)[1].startswith("5 images denoised")
        assert n2b_infer(*arguments)[1] == "0 images denoised, 1 skipped\n"

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_a_signal_leaves_nothing_of_a_result(self, make_model, tmp_path, number):
        make_video(tmp_path / "long.mp4", range(0, 512 * 100, 512), height=192, width=256)
        arguments = [tmp_path / "long.mp4", "-o", tmp_path / "out/long.mp4", "-m", make_model("wide")]
        with subprocess.Popen([*COMMAND, *map(str, arguments)], stderr=subprocess.DEVNULL) as run:
            wait_until(lambda: any(tmp_path.glob("out/.*")))
            run.send_signal(number)
            assert run.wait(PATIENCE_S) == 130
        assert list((tmp_path / "out").iterdir()) == []

    def test_the_reference_of_images_is_refused(self, n2b_infer, tmp_path):
        make_video(tmp_path / "a.mp4", TICKS, sound=None)
        status, _, err = n2b_infer("a.mp4", "--reference", tmp_path)
        assert status == 2 and "--reference measures images" in err
