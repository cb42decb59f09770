"""Passwords are hidden in all that is shown."""

from __future__ import annotations

import time

import pytest
from n2b.runtime.errors import UserError
from n2b.runtime.passwords import hide_passwords
from n2b.runtime.sources import find_input
from n2b.runtime.sources.capture import CameraSettings, find_address

ADDRESSES = [
    ("rtsp://admin:p@SECRET@127.0.0.1:1/s", "rtsp://…@127.0.0.1:1/s"),
    ("rtsp://admin:SEC/RET@127.0.0.1:1/s", "rtsp://…@127.0.0.1:1/s"),
    ("rtsp://SEC/RET:SECRET@host/s", "rtsp://…@host/s"),
    ("rtsp://admin:SECRET RET@127.0.0.1:1/s", "rtsp://…@127.0.0.1:1/s"),
    ("rtsp://admin:SEC?R#ET://@host/s", "rtsp://…@host/s"),
    ("HTTPS://SECRET@host", "HTTPS://…@host"),
    ("camera:rtsp://admin:SECRET@[::1]:554/s", "camera:rtsp://…@[::1]:554/s"),
    ("rtsp://admin:SECRET%40host/s", "rtsp://admin:…/s"),  # an @ that was escaped too much
    (
        "rtsp://h/user=admin_password=SEC_RET_channel=1_stream=0.sdp",
        "rtsp://h/user=…_password=…_channel=1_stream=0.sdp",
    ),
    ("http://h:80/video.cgi?user=admin&pwd=SECRET&size=3", "http://h:80/video.cgi?user=…&pwd=…&size=3"),
    ("http://h/v?loginuse=admin&loginpas=SEC RET", "http://h/v?loginuse=…&loginpas=…"),
    ("http://h/v?token=SECRET=", "http://h/v?token=…"),
    ("http://h/v#access_token=SEC/RET", "http://h/v#access_token=…"),
    ("http://h/v?u=admin&p=SECRET", "http://h/v?u=…&p=…"),
    ("http://h/v?next=%2Fv%3Fpwd%3DSECRET", "http://h/v?next=%2Fv%3Fpwd%3D…"),
    ("srt://h:1?passphrase=SECRET&latency=9", "srt://h:1?passphrase=…&latency=9"),
]
PIPELINES = [
    ("rtspsrc location=rtsp://u:SECRET@h/s latency=0 ! x", "rtspsrc location=rtsp://…@h/s latency=0 ! x"),
    ("rtspsrc user-id=me user-pw='SEC RET' ! x", "rtspsrc user-id=… user-pw=… ! x"),
    ('souphttpsrc location="http://h/v?pwd=SEC RET" ! x', 'souphttpsrc location="http://h/v?pwd=…" ! x'),
]  # fmt: skip


@pytest.mark.parametrize(("address", "shown"), ADDRESSES + PIPELINES)
def test_an_address_is_shown_without_passwords(address: str, shown: str) -> None:
    assert hide_passwords(address, is_address=True) == shown
    assert hide_passwords(shown, is_address=True) == shown


@pytest.mark.parametrize(("address", "shown"), ADDRESSES)
def test_an_input_and_a_camera_are_named_without_passwords(address: str, shown: str) -> None:
    found = find_input(address)
    assert found.shown_name == shown
    assert find_address(found, CameraSettings()).name == shown.removeprefix("camera:")
    assert find_address(found, CameraSettings()).target == address.removeprefix("camera:")


@pytest.mark.parametrize("address", [address for address, _ in [*ADDRESSES, *PIPELINES]])
def test_a_message_that_quotes_an_address_hides_its_passwords(address: str) -> None:
    quoted = str(UserError(f"--noisy was ({address!r}, 'b@2x.png'); omit it"))
    assert "SEC" not in quoted
    assert quoted.startswith("--noisy was (")
    assert quoted.endswith("; omit it")
    if "SEC RET" not in address:
        assert "SEC" not in str(UserError(f"{address}: there is no such file; see b.png"))


@pytest.mark.parametrize(
    "text",
    [
        "http://192.168.1.2:8080/cam/realmonitor?channel=1&subtype=0",
        "camera csi://0 does not open; see b@2x.png",
        "/a/b@2x.png: there is no such file",
        "C:/token=3/b@2x.png",
        "see https://example.org/x, at 16:9 @ 30 fps",
    ],
)
def test_other_text_stays(text: str) -> None:
    assert hide_passwords(text) == text


@pytest.mark.parametrize("piece", ["a", "user", "://", "http:// ", "a:", "user=&"])
def test_no_text_takes_long(piece: str) -> None:
    start = time.monotonic()
    hide_passwords(f"http://h/?{piece * 2000}")
    assert time.monotonic() - start < 5


def test_a_mistyped_scheme_hides_it_as_well() -> None:
    with pytest.raises(UserError, match=r"rtsp:/…@host/s: there is no such"):
        find_input("rtsp:/me:SECRET@host/s")
    with pytest.raises(UserError, match=r"^…@host\.local/s: there is no such"):
        find_input("me:SECRET@host.local/s")
