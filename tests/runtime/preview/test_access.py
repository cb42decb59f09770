"""Who may see the live page."""

from __future__ import annotations

import hmac
from http import HTTPStatus

import pytest
from n2b.runtime.preview.access import Access

TOKEN = "s3cret_token-of-22char"
OPEN = Access(None, 8080, frozenset({"localhost", "127.0.0.1"}))
GUARDED = Access(TOKEN, 8080, frozenset({"jetson", "jetson.local", "0.0.0.0"}))
LAN = "192.168.1.5"


def status(access: Access, path: str = "/", *, needs_origin: bool = False, ip: str = LAN, **headers: str):
    refusal = access.refusal(path, headers, ip, needs_origin=needs_origin)
    return refusal.status if refusal else None


class TestToken:
    @pytest.mark.parametrize(
        "path",
        [f"/?token={TOKEN}", f"/?a=b&token={TOKEN}", f"//[?token={TOKEN}", f"/?token=\udcff&token={TOKEN}"],
    )
    def test_in_the_address_it_opens_the_page(self, path):
        assert status(GUARDED, path, host=f"{LAN}:8080") is None

    @pytest.mark.parametrize(
        "cookie",
        [f"n2b-8080={TOKEN}", f'other="a b"; n2b-8080={TOKEN} ; x', f"n2b-8080=old; n2b-8080={TOKEN}"],
    )
    def test_as_a_cookie_it_opens_everything(self, cookie):
        assert status(GUARDED, "/page.js", host=f"{LAN}:8080", cookie=cookie) is None

    @pytest.mark.parametrize(
        "path",
        ["/", "/?token=", "/?token", f"/?token={TOKEN[:-1]}", f"/?token={TOKEN}x", "/?token=%C3%A9",
         f"/{TOKEN}", f"/?Token={TOKEN}", "/live", "/page.js", "/no-such-page",
         "//[", "//[x]y/?token=x", "http://[", "//a\u2100b", "/?token=\udcff", "/live?token=%ff", "*", ""],
    )  # fmt: skip
    def test_without_it_nothing_is_had(self, path):
        assert status(GUARDED, path, host=f"{LAN}:8080") == HTTPStatus.UNAUTHORIZED

    @pytest.mark.parametrize(
        "cookie",
        ["", "n2b-8080", "n2b-8080=", f"n2b-8081={TOKEN}", f"n2b-8080={TOKEN[1:]}", ";=;",
         "n2b-8080=\udce9", "\udcff=;n2b-8080=\udcff"],
    )  # fmt: skip
    def test_a_wrong_cookie_is_none(self, cookie):
        assert status(GUARDED, host=f"{LAN}:8080", cookie=cookie) == HTTPStatus.UNAUTHORIZED

    def test_it_is_asked_for_before_anything_else_is_told(self):
        assert status(GUARDED, host="evil.example") == HTTPStatus.UNAUTHORIZED

    def test_it_is_compared_in_constant_time(self, monkeypatch):
        compared = []
        compare = hmac.compare_digest
        monkeypatch.setattr(hmac, "compare_digest", lambda a, b: compared.append((a, b)) or compare(a, b))
        status(GUARDED, "/?token=guess", host=LAN)
        assert compared == [(b"guess", TOKEN.encode())]

    def test_it_becomes_a_cookie_that_scripts_and_other_sites_cannot_use(self):
        cookie = GUARDED.cookie(f"/?token={TOKEN}")
        assert cookie is not None and cookie.startswith(f"n2b-8080={TOKEN};")
        assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
        assert GUARDED.cookie("/?token=guess") is None
        assert GUARDED.cookie("/") is None
        assert OPEN.cookie("/?token=guess") is None


class TestHost:
    @pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost:8080", "LOCALHOST:9000", "127.0.0.1"])
    def test_this_machine_s_names_are_known(self, host):
        assert status(OPEN, host=host, ip="127.0.0.1") is None

    @pytest.mark.parametrize(
        "host",
        ["evil.example", "evil.example:8080", "", "127.0.0.1.evil.example", "10.0.0.1", "[::1", "[::1]:8080",
         "[", "a\u2100b", "\udcff", "@", ":"],
    )  # fmt: skip
    def test_others_are_refused(self, host):
        assert status(OPEN, host=host, ip="127.0.0.1") == HTTPStatus.FORBIDDEN

    def test_a_request_without_one_is_refused(self):
        assert status(OPEN, ip="127.0.0.1") == HTTPStatus.FORBIDDEN

    @pytest.mark.parametrize(
        "host, ip",
        [
            ("[::1]:8080", "::1"),
            ("192.168.1.5:8080", "::ffff:192.168.1.5"),
            ("[fe80::1]:8080", "fe80::1%eth0"),
        ],
    )
    def test_the_address_that_a_request_came_to_is_known(self, host, ip):
        assert status(OPEN, host=host, ip=ip) is None

    @pytest.mark.parametrize("host", ["jetson:8080", "Jetson.local:8080", f"{LAN}:8080"])
    def test_in_a_network_the_machine_is_known_by_name_and_address(self, host):
        assert status(GUARDED, f"/?token={TOKEN}", host=host) is None


class TestOrigin:
    @pytest.mark.parametrize("origin", ["http://localhost:8080", "http://LOCALHOST:8080"])
    def test_the_page_itself_may_connect(self, origin):
        assert status(OPEN, "/live", host="localhost:8080", origin=origin, needs_origin=True) is None

    @pytest.mark.parametrize(
        "origin",
        [
            "http://evil.example",
            "http://localhost:8081",
            "http://localhost",
            "https://localhost:8080",
            "null",
            "",
        ],
    )
    def test_pages_from_elsewhere_may_not(self, origin):
        refused = status(OPEN, "/live", host="localhost:8080", origin=origin, needs_origin=True)
        assert refused == HTTPStatus.FORBIDDEN

    def test_what_sends_none_may_not(self):
        assert status(OPEN, "/live", host="localhost:8080", needs_origin=True) == HTTPStatus.FORBIDDEN
