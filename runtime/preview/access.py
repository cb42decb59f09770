"""Who may see the live page: the token, and the names by which a browser may call this machine."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Refusal:
    """What is answered in the place of what was asked for."""

    status: HTTPStatus
    reason: str


@dataclass(frozen=True)
class Access:
    """The rule for every request.

    The token comes in the address that was printed, `/?token=…`; the page then keeps it as a cookie that
    scripts cannot read and that is not sent along from other sites. Host and Origin are compared so that a
    foreign page in the same browser can neither connect nor, by a name that it lets point here (DNS
    rebinding), pass for this one.

    Attributes:
        token: what has to be shown; None: nothing, for a page that only this machine reaches.
        port: where the page is served; a part of the cookie's name, since cookies know no ports.
        names: host names, in small letters, by which this machine may be called; its addresses may always.
    """

    token: str | None
    port: int
    names: frozenset[str]

    @property
    def cookie_name(self) -> str:
        """The name of the cookie that holds the token."""
        return f"n2b-{self.port}"

    def refusal(
        self, path: str, headers: Mapping[str, str], local_ip: str, *, needs_origin: bool
    ) -> Refusal | None:
        """Why a request is refused; None when it is not.

        Args:
            path: with the query.
            headers: by their names in small letters.
            local_ip: the address of this machine that the request came to.
            needs_origin: whether the request could do something, or read what a foreign page must not.
        """
        if self.token is not None and not any(map(self._is_token, self._shown(path, headers))):
            return Refusal(
                HTTPStatus.UNAUTHORIZED, "open the whole address that n2b-infer printed, with its token"
            )
        host = headers.get("host", "")
        if not self._is_known(host, local_ip):
            return Refusal(
                HTTPStatus.FORBIDDEN, "this host name is not known here; use the address that was printed"
            )
        if needs_origin and headers.get("origin", "").lower() != f"http://{host}".lower():
            return Refusal(HTTPStatus.FORBIDDEN, "a page from elsewhere may not connect")
        return None

    def cookie(self, path: str) -> str | None:
        """The Set-Cookie header for a request that showed the token in its address; None for others."""
        if self.token is None or not any(map(self._is_token, _in_query(path))):
            return None
        return f"{self.cookie_name}={self.token}; Path=/; HttpOnly; SameSite=Strict"

    def _shown(self, path: str, headers: Mapping[str, str]) -> list[str]:
        cookies = (pair.strip().partition("=") for pair in headers.get("cookie", "").split(";"))
        return [*_in_query(path), *(value for name, _, value in cookies if name == self.cookie_name)]

    def _is_token(self, shown: str) -> bool:
        return hmac.compare_digest(shown.encode(), (self.token or "").encode())

    def _is_known(self, host: str, local_ip: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return name in self.names or _plain(name) == _plain(local_ip)


def _in_query(path: str) -> list[str]:
    return parse_qs(urlsplit(path).query).get("token", [])


def _plain(ip: str) -> str:
    """An address in one form: ::ffff:192.0.2.1 is 192.0.2.1."""
    try:
        address = ipaddress.ip_address(ip.partition("%")[0])
    except ValueError:
        return ip
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)
