"""Requests that need a cluster, or cannot use one, end in one line."""

from __future__ import annotations

import sys

import pytest


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["s3://bucket/in", "-o", "out"], "add --ray local"),
        (["in", "-o", "s3://bucket/out"], "add --ray local"),
        (["in", "--ray-actors", "2"], "need --ray"),
        (["--camera", "0", "--ray", "local"], "for images alone"),
        (["s3://bucket/in", "--ray", "local"], "with -o"),
        (["in/a.mp4", "-o", "out", "--ray", "local"], "--ray is for images"),
        (["in", "-o", "out", "--ray", "local"], "ray is not installed: pip install 'noise2blur[ray]'"),
    ],
)
def test_it_is_said_what_to_do(n2b_infer, tmp_path, monkeypatch, arguments, message):
    (tmp_path / "in").mkdir()
    for name in ("a.mp4", "b.png"):
        (tmp_path / "in" / name).write_bytes(b"0")
    monkeypatch.setitem(sys.modules, "ray", None)
    status, printed, errors = n2b_infer(*arguments)
    assert (status, printed) == (1 if "installed" in message else 2, "")
    assert message in errors.splitlines()[-1]
