"""Messages and exit statuses of the commands."""

from __future__ import annotations

import subprocess
import sys

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
