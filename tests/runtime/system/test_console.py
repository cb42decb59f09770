"""Messages and exit statuses of the commands."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import logging, sys
from n2b.runtime.errors import UserError
from n2b.runtime.system.console import run_command

def command(path: str) -> int:
    logging.getLogger("n2b.runtime.anything").warning("%s is odd", path)
    logging.getLogger("n2b.runtime.anything").info("going on")
    if path == "bad":
        raise UserError("bad cannot be used;\\nuse good")
    if path == "closed":
        sys.stderr.close()
        logging.getLogger("n2b.runtime.anything").warning("nobody reads this")
        sys.stderr = None
        logging.getLogger("n2b.runtime.anything").warning("nor this")
    print("{}")
    return 0

sys.argv[0] = "n2b-test"
run_command(command, "n2b-test")
"""


def run(path: str, *, redirection: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", f'"$0" -c "$1" "$2" {redirection}', sys.executable, PROGRAM, path],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_what_is_logged_goes_to_standard_error_a_line_each():
    ran = run("good")
    assert (ran.returncode, ran.stdout) == (0, "{}\n")
    assert ran.stderr == "warning: good is odd\ngoing on\n"


@pytest.mark.parametrize(("rank", "lines"), [("0", 1), ("1", 0), ("7", 0)])
def test_of_several_processes_the_first_reports_a_mistake(monkeypatch, rank, lines):
    monkeypatch.setenv("RANK", rank)
    ended = run("bad")
    assert ended.returncode == 2
    assert ended.stderr.count("n2b-test: ") == lines
    assert "Traceback" not in ended.stderr


def test_a_mistake_ends_in_one_line_and_status_2():
    ran = run("bad")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.splitlines()[-1] == "n2b-test: bad cannot be used; use good"


@pytest.mark.parametrize(("path", "status", "out"), [("good", 0, "{}\n"), ("bad", 2, "")])
@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full"])
def test_where_standard_error_is_closed_or_full_nothing_is_printed_elsewhere(path, status, out, redirection):
    ran = run(path, redirection=redirection)
    assert (ran.returncode, ran.stdout, ran.stderr) == (status, out, "")


def test_logging_goes_on_when_standard_error_is_closed_later():
    ran = run("closed")
    assert (ran.returncode, ran.stdout) == (0, "{}\n")


RESULT = """
import json, pathlib, sys
from n2b.runtime.system.console import run_command

def command(name: str) -> int:
    pathlib.Path("result").touch()
    print("1 image denoised → " + name)
    sys.stdout.writelines(["", json.dumps("done"), chr(10)])
    print("frames: µ", file=sys.stderr)
    return 3

sys.argv[0] = "n2b-test"
run_command(command, "n2b-test")
"""


def run_to_the_end(
    folder: Path, argument: bytes, *, redirection: str = "", encoding: str = ""
) -> subprocess.CompletedProcess[bytes]:
    ran = subprocess.run(
        ["sh", "-c", f'"$0" -c "$1" "$2" {redirection}', sys.executable, RESULT, argument],
        capture_output=True,
        check=False,
        cwd=folder,
        env={**os.environ, **({"PYTHONIOENCODING": encoding} if encoding else {})},
        timeout=60,
    )
    assert (folder / "result").exists() and b"Traceback" not in ran.stderr
    return ran


@pytest.mark.parametrize(
    ("encoding", "argument", "line"),
    [
        ("utf-8", "é".encode(), "1 image denoised → é".encode()),
        ("latin-1", "é".encode(), b"1 image denoised \\u2192 \xe9"),
        ("cp1252", "é日".encode(), b"1 image denoised \\u2192 \xe9\\u65e5"),
        ("ascii", "é".encode(), b"1 image denoised \\u2192 \\xe9"),
        ("utf-8", b"caf\xe9", "1 image denoised → caf\\udce9".encode()),  # a file name that is not UTF-8
        ("utf-8:strict", b"\xff", "1 image denoised → \\udcff".encode()),
    ],
)
def test_what_the_output_cannot_encode_is_escaped(tmp_path, encoding, argument, line):
    ran = run_to_the_end(tmp_path, argument, encoding=encoding)
    assert (ran.returncode, ran.stdout.splitlines()) == (3, [line, b'"done"'])


@pytest.mark.parametrize("redirection", [">/dev/full", ">&-", "| true", ">/dev/full 2>&1", ">&- 2>&-"])
def test_a_full_or_closed_output_does_not_undo_what_is_done(tmp_path, redirection):
    ran = run_to_the_end(tmp_path, b"a", redirection=redirection)
    assert ran.returncode == (0 if redirection == "| true" else 3)  # of a pipe the status is the last one's
    reports = [line for line in ran.stderr.decode().splitlines() if line.startswith("n2b-test")]
    full = "n2b-test: standard output cannot be written: No space left on device"
    assert reports == ([full] if redirection == ">/dev/full" else [])


@pytest.mark.parametrize("option", ["--help", "--version"])
@pytest.mark.parametrize("redirection", [">/dev/full", ">&-"])
def test_help_into_a_full_or_closed_output_is_no_traceback(option, redirection):
    ran = run(option, redirection=redirection)
    assert (ran.returncode, "Traceback" in ran.stderr) == (int(redirection == ">/dev/full"), False)


@pytest.mark.parametrize("arguments", ["a.png", "--camera 0"])
def test_json_into_a_closed_output_is_refused_before_any_work(arguments):
    command = f'"$0" -m n2b.runtime {arguments} --json >&-'
    ran = subprocess.run(
        ["sh", "-c", command, sys.executable], capture_output=True, text=True, check=False, timeout=60
    )
    assert ran.returncode == 2
    assert ran.stderr == "n2b-infer: --json prints to standard output, which is closed\n"


def test_a_file_never_gets_the_number_of_a_closed_output(tmp_path):
    program = (
        "import os, sys; from n2b.runtime.system.output import tolerate_any_output\n"
        "tolerate_any_output('n2b-test')\n"
        "file = open('kept', 'wb'); os.write(1, b'of a library'); os.write(2, b'of another'); file.close()"
    )
    command = ["sh", "-c", '"$0" -c "$1" >&- 2>&- <&-', sys.executable, program]
    subprocess.run(command, check=True, cwd=tmp_path, timeout=60)
    assert (tmp_path / "kept").read_bytes() == b""
