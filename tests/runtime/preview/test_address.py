"""Where the live page listens."""

from __future__ import annotations

import socket

import pytest
from n2b.runtime.errors import EnvironmentFault, UserError
from n2b.runtime.preview.address import Endpoint, listen


@pytest.fixture
def listening():
    """listening(address) → an endpoint that is closed after the test."""
    opened: list[Endpoint] = []

    def open_at(address: str) -> Endpoint:
        opened.append(listen(address))
        return opened[-1]

    yield open_at
    for endpoint in opened:
        endpoint.listening.close()


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


def test_a_port_alone_is_this_machine_s(listening):
    endpoint = listening("0")
    assert (endpoint.ip, endpoint.is_loopback) == ("127.0.0.1", True)
    assert endpoint.port > 0
    assert endpoint.url == f"http://127.0.0.1:{endpoint.port}/"
    assert endpoint.names == {"localhost", "127.0.0.1"}


def test_a_name_is_what_it_stands_for(listening):
    assert listening("localhost:0").is_loopback


def test_all_addresses_are_not_loopback_and_the_url_names_one_of_them(listening):
    endpoint = listening("0.0.0.0:0")
    assert not endpoint.is_loopback
    assert "0.0.0.0" not in endpoint.url
    assert socket.gethostname().lower() in endpoint.names


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_an_ipv6_address_stands_in_brackets(listening):
    endpoint = listening("[::1]:0")
    assert (endpoint.ip, endpoint.is_loopback) == ("::1", True)
    assert endpoint.url == f"http://[::1]:{endpoint.port}/"
    assert not listening("[::]:0").is_loopback


@pytest.mark.parametrize(
    "address",
    ["", "page", ":8080", "::1:8080", "65536", "-1", "host:", "a b:80", "http://x:80", "8080/", "８０"],
)
def test_what_is_no_address_is_refused_with_examples(address):
    with pytest.raises(UserError, match=r"cannot serve at .*; give an address such as 8080, 0\.0\.0\.0:8080"):
        listen(address)


def test_a_port_in_use_is_one_line_that_says_so(listening):
    port = listening("0").port
    with pytest.raises(EnvironmentFault, match=f"cannot serve at {port}: .*in use.*another port"):
        listen(str(port))


def test_a_host_that_is_not_this_machine_is_one_line():
    with pytest.raises(EnvironmentFault, match=r"cannot serve at 192\.0\.2\.77:0"):
        listen("192.0.2.77:0")
