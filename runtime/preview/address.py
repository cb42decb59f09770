"""Parse and bind the live page's address, [HOST:]PORT, before anything else starts."""

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
    """A listening socket."""

    listening: socket.socket  # the socket
    host: str  # as requested, without brackets
    ip: str  # the bound address; 0.0.0.0 or ::: all of the machine
    port: int  # the bound port, never 0

    @property
    def is_loopback(self) -> bool:
        """True if only this machine can reach it."""
        return ipaddress.ip_address(self.ip).is_loopback

    @property
    def names(self) -> frozenset[str]:
        """The lower-case host names of this machine for a browser, without addresses."""
        if self.is_loopback:
            return frozenset({"localhost", self.host.lower()})
        host = socket.gethostname().lower()
        return frozenset({self.host.lower(), host, f"{host.partition('.')[0]}.local"})

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
        address: PORT, on 127.0.0.1, or HOST:PORT, an IPv6 address in brackets. Port 0 selects a free one.

    Raises:
        UserError: the address is invalid.
        EnvironmentFault: the port is in use or not permitted, or the host is not this machine.
    """
    match = _ADDRESS.fullmatch(address)
    if not match or int(match["port"]) > 65535:
        raise UserError(
            f"cannot serve at '{address}'; give an address such as 8080, 0.0.0.0:8080 or [::1]:8080"
        )
    host, port = (match["host"] or "127.0.0.1").strip("[]"), int(match["port"])
    try:
        family, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        every_family = host == "::" and socket.has_dualstack_ipv6()
        listening = socket.create_server(place[:2], family=family, dualstack_ipv6=every_family)
    except OSError as error:
        raise EnvironmentFault(
            f"cannot serve at {address}: {error.strerror or error}; "
            "choose another port, such as 8081, or 0 for a free one"
        ) from error
    ip, bound_port = listening.getsockname()[:2]
    return Endpoint(listening, host, ip.partition("%")[0], bound_port)


def _address_in_the_network() -> str | None:
    """Return the address of this machine's route to the network; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_NOWHERE)
        except OSError:  # no network
            return None
        return probe.getsockname()[0]
