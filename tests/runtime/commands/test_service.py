"""--print-service prints a unit that runs exactly the command it was printed by."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from n2b.runtime.commands.service import Host, quote, service_unit
from n2b.runtime.errors import UserError

TRICKY = (
    "plain", "", "two words", 'say "so"', "it's", "100%", "%h", "$HOME", "${HOME}", "a;b", ";", "back\\slash",
    "\\", "tab\there", "new\nline", "ünï", "#x", "*.png", "-", "--suffix=_ä b", "v4l2src ! jpegdec ! appsink",
)  # fmt: skip


def host(tmp_path: Path) -> Host:
    return Host(("/opt/n2b/bin/n2b-infer",), "camera", ("video",), tmp_path)


def unquote(line: str) -> list[str]:
    """Split a line as systemd does, then resolve specifiers and variables, of which there are none."""
    words, current, quoted, position = [], "", None, 0
    escapes = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "'": "'"}
    inside = False
    while position < len(line):
        character = line[position]
        if character == "\\":
            position += 1
            if line[position] == "x":
                current += chr(int(line[position + 1 : position + 3], 16))
                position += 2
            else:
                current += escapes[line[position]]
        elif character == '"':
            quoted, inside = (None, inside) if quoted else ('"', True)
        elif character == " " and not quoted:
            words.append(current) if inside or current else None
            current, inside = "", False
        else:
            current += character
        position += 1
    words.append(current) if inside or current else None
    return [word.replace("%%", "%").replace("$$", "$") for word in words]


def exec_start(unit: str) -> str:
    [line] = [line for line in unit.splitlines() if line.startswith("ExecStart=")]
    return line.removeprefix("ExecStart=")


def test_every_argument_arrives_as_it_is(tmp_path):
    unit = service_unit(TRICKY, host(tmp_path))
    assert unquote(exec_start(unit)) == ["/opt/n2b/bin/n2b-infer", *TRICKY]


@pytest.mark.parametrize("word", TRICKY)
def test_special_characters_are_quoted(word):
    assert unquote(quote(word)) == [word]


def test_the_unit_runs_the_command_of_this_environment(n2b_infer, tmp_path):
    status, unit, _ = n2b_infer(
        "--camera", "/dev/video0", "--serve", "8080", "--print-service", "-m", "camera"
    )
    assert status == 0
    program, *arguments = unquote(exec_start(unit))
    assert Path(program).is_absolute() and Path(program).parent == Path(sys.executable).parent
    assert arguments[-6:] == ["--camera", "/dev/video0", "--serve", "8080", "-m", "camera"]
    assert f"WorkingDirectory={tmp_path}" in unit.splitlines()
    assert {"Restart=on-failure", "[Install]"} <= set(unit.splitlines())


@pytest.mark.parametrize(
    "how", [["--camera", "rtsp://user:s3cret@host/1"], ["--camera=rtsp://user:s3cret@host/1"]]
)
def test_a_password_is_left_to_an_environment_file(tmp_path, how):
    unit = service_unit([*how, "--headless"], host(tmp_path))
    assert "s3cret" not in unit
    assert exec_start(unit).endswith("--camera ${N2B_ADDRESS_1} --headless")
    assert "EnvironmentFile=/etc/n2b/passwords.env" in unit
    assert "N2B_ADDRESS_1='rtsp://…@host/1'" in unit


def test_a_csi_camera_waits_for_its_daemon(tmp_path):
    assert "nvargus-daemon.service" in service_unit(["--camera", "csi://0"], host(tmp_path))


def test_a_service_has_no_window_and_needs_a_whole_command(n2b_infer):
    status, _, error = n2b_infer("--camera", "0", "--print-service")
    assert status == 2 and "a service has no window" in error
    status, _, error = n2b_infer("--print-service")
    assert status == 2 and "name images or a camera" in error


def test_a_folder_that_a_unit_cannot_name_is_refused():
    with pytest.raises(UserError, match="cannot be named in a unit"):
        service_unit([], host(Path("/tmp/a\nb")))


def test_systemd_accepts_the_unit(tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze, of the Debian package systemd")
    folder = tmp_path / "100% a folder"
    folder.mkdir()
    here = Host((shutil.which("true") or "/bin/true",), "root", ("video",), folder)
    path = tmp_path / "n2b.service"
    path.write_text(service_unit([*TRICKY, "rtsp://u:p@h/1"], here) + "\n")
    ran = subprocess.run(["systemd-analyze", "verify", path], capture_output=True, text=True, check=False)
    assert str(path) not in ran.stderr and ran.returncode == 0, ran.stderr
