"""Authorise requests to the live page by a token and by the names of this machine."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Refusal:
    """The response to a request that is refused."""

    status: HTTPStatus
    reason: str


@dataclass(frozen=True)
class Access:
    """The rules for every request.

    The token is in the printed address, `/?token=…`; the page then keeps it as a cookie that scripts cannot
    read and that other sites do not send. Host and Origin are checked so that a foreign page in the same
    browser can neither connect nor, by a name that it resolves to this machine (DNS rebinding), act as this
    page.
    """

    token: str | None  # required token; None: none, for a page that only this machine can reach
    port: int  # of the page; a part of the cookie's name, since cookies do not depend on the port
    names: frozenset[str]  # lower-case host names of this machine; its addresses are always accepted

    @property
    def cookie_name(self) -> str:
        """The name of the token's cookie."""
        return f"n2b-{self.port}"

    def refusal(
        self,
        path: str,
        headers: Mapping[str, str],
        local_ip: str,
        *,
        needs_origin: bool,
        is_page: bool = True,
    ) -> Refusal | None:
        """Return why a request is refused; None: it is allowed.

        Args:
            path: with the query.
            headers: by their lower-case names.
            local_ip: address of this machine that received the request.
            needs_origin: the request could change something, or read what a foreign page must not.
            is_page: a link may lead to it from anywhere; False: foreign pages may not request it.
        """
        if self.token is not None and not any(map(self._is_token, self._tokens(path, headers))):
            return Refusal(
                HTTPStatus.UNAUTHORIZED, "open the complete address that n2b-infer printed, with its token"
            )
        host = headers.get("host", "")
        if not self._is_known(host, local_ip):
            return Refusal(HTTPStatus.FORBIDDEN, "unknown host name; use the address that n2b-infer printed")
        if needs_origin and headers.get("origin", "").lower() != f"http://{host}".lower():
            return Refusal(HTTPStatus.FORBIDDEN, "other pages may not connect")
        # Programs do not send this header; browsers do, and foreign pages cannot change it.
        if not is_page and headers.get("sec-fetch-site", "none").lower() not in ("none", "same-origin"):
            return Refusal(HTTPStatus.FORBIDDEN, "other pages may not read it")
        return None

    def cookie(self, path: str) -> str | None:
        """Return the Set-Cookie header for a request with the token in its address; None for others."""
        if self.token is None or not any(map(self._is_token, _tokens_of_query(path))):
            return None
        return f"{self.cookie_name}={self.token}; Path=/; HttpOnly; SameSite=Strict"

    def _tokens(self, path: str, headers: Mapping[str, str]) -> list[str]:
        cookies = (pair.strip().partition("=") for pair in headers.get("cookie", "").split(";"))
        return [*_tokens_of_query(path), *(value for name, _, value in cookies if name == self.cookie_name)]

    def _is_token(self, text: str) -> bool:
        # Bytes that are not ASCII arrive as surrogates.
        return hmac.compare_digest(text.encode(errors="surrogatepass"), (self.token or "").encode())

    def _is_known(self, host: str, local_ip: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return name in self.names or _normalised(name) == _normalised(local_ip)


def _tokens_of_query(path: str) -> list[str]:
    query = path.partition("?")[2]  # urlsplit would parse //… as a host, and refuse some
    return parse_qs(query).get("token", [])


def _normalised(ip: str) -> str:
    """Return an IP address in one form: ::ffff:192.0.2.1 is 192.0.2.1."""
    try:
        address = ipaddress.ip_address(ip.partition("%")[0])
    except ValueError:
        return ip
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)
