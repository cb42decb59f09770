"""Where the live page listens: [HOST:]PORT, bound at once so that a port in use is told early."""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass

from ..errors import EnvironmentFault, UserError

_ADDRESS = re.compile(r"(?:(?P<host>\[[0-9A-Fa-f:.%\w]+\]|[^\s:\[\]/]+):)?(?P<port>[0-9]{1,5})")
_NOWHERE = ("192.0.2.1", 9)  # an address for documentation (RFC 5737)


@dataclass(frozen=True)
class Endpoint:
    """A socket that listens.

    Attributes:
        listening: the socket.
        asked: the host as it was asked for, without brackets.
        ip: the address it is bound to; 0.0.0.0 or :: means all of the machine's.
        port: the port, also where a free one was asked for by 0.
    """

    listening: socket.socket
    asked: str
    ip: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        return ipaddress.ip_address(self.ip).is_loopback

    @property
    def names(self) -> frozenset[str]:
        """The names, in small letters, by which a browser may call this machine; addresses not among them."""
        if self.is_loopback:
            return frozenset({"localhost", self.asked.lower()})
        host = socket.gethostname().lower()
        return frozenset({self.asked.lower(), host, f"{host.partition('.')[0]}.local"})

    @property
    def url(self) -> str:
        """The page's address, for a browser."""
        host = self.ip
        if ipaddress.ip_address(host).is_unspecified:
            host = _address_in_the_network() or socket.gethostname()
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/"


def listen(address: str) -> Endpoint:
    """Bind and listen.

    Args:
        address: PORT, which is 127.0.0.1's, or HOST:PORT; an IPv6 address stands in brackets. Port 0 is a
            free one.

    Raises:
        UserError: the address is none.
        EnvironmentFault: the port is in use or not allowed, or the host is not this machine.
    """
    found = _ADDRESS.fullmatch(address)
    if not found or int(found["port"]) > 65535:
        raise UserError(f"'{address}' is no address to serve at; 8080, 0.0.0.0:8080 and [::1]:8080 are some")
    host, port = (found["host"] or "127.0.0.1").strip("[]"), int(found["port"])
    try:
        family, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        every_family = host == "::" and socket.has_dualstack_ipv6()
        listening = socket.create_server(place[:2], family=family, dualstack_ipv6=every_family)
    except OSError as error:
        raise EnvironmentFault(
            f"cannot serve at {address}: {error.strerror or error}; "
            "name another port, such as 8081, or 0 for a free one"
        ) from error
    ip, bound_port = listening.getsockname()[:2]
    return Endpoint(listening, host, ip.partition("%")[0], bound_port)


def _address_in_the_network() -> str | None:
    """This machine's address on the way out; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_NOWHERE)
        except OSError:  # no network
            return None
        return probe.getsockname()[0]
