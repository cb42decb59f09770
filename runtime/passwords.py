"""Hide the passwords of addresses in all that is shown or saved: messages, JSON, reports, configurations."""

from __future__ import annotations

import re
from typing import Any

HIDDEN = "…"

_SECRET = (
    r"(?:pas|pwd|psw|token|secret|auth|api-?_?key|access-?_?key|cred|session|user|usr|login|account|streamid"
    r"|signature|ticket|(?<![a-z])(?:key|pw|sig|sid|pin|otp|jwt|hash|u|p)(?![a-z]))"
)
_LETTER = r"[\w.\-\[\]%]"  # of a parameter's name
_NAME = rf"(?<![A-Za-z0-9.\-\[\]%]){_LETTER}{{0,40}}?{_SECRET}{_LETTER}{{0,40}}?"
# Some cameras separate the parameters by underscores: /user=admin_password=…_channel=1_stream=0.sdp
_NEXT = rf"[&;|\s]{_LETTER}{{1,40}}=|_(?:user|password|channel|stream|real|onvif|protocol|type)[a-z-]*="
_PARAMETER = re.compile(rf"({_NAME}(?:=|%3D)).*?(?={_NEXT}|$)", re.IGNORECASE | re.DOTALL)
_SCHEME = r"[A-Za-z][A-Za-z0-9+.-]{1,20}:/+"
_ADDRESS_LOGIN = re.compile(rf"({_SCHEME}).*@", re.DOTALL)  # passwords may contain @ and /
_NO_HOST = re.compile(
    r"(:/+[^/:@?#\[\]\s]+):(?!\d+(?:[/?#\s\"',;:)]|$))[^/?#\s]+"
)  # a password, since no port

_QUOTED = re.compile(rf"(?P<quote>[\"'])((?:camera:)?{_SCHEME}(?:(?!(?P=quote)).){{0,1000}})(?P=quote)")
# With blanks only behind "user:", so that a file name with @ later in a message is not taken for a host.
_LOGIN = re.compile(
    rf"({_SCHEME})(?!/|{HIDDEN}@)"
    rf"(?:[^\s/@:]*:(?!\d+/)\S(?:(?![\s\"'(,=]{_SCHEME}).){{0,500}}|[^\s\"'<>]{{0,500}})@"
)
_URL = re.compile(rf"{_SCHEME}[^\s\"'<>]*")
_BARE_LOGIN = re.compile(
    r"(?<![\w/.@…:])[\w.-]{1,60}:[^\s@/\\…][^\s@/\\]*@(?=[\w-]+\.[\w.-]|localhost|\[)"
)  # user:password@host
_PROPERTY = re.compile(  # of a GStreamer element
    r"(?<![\w?&;/-])([\w-]{0,40}?(?:(?:user|proxy)-?(?:id|pw)|password|passphrase|token|secret)\s*=\s*)"
    r"(?:\"[^\"]*\"|'[^']*'|[^\s…]\S*)",
    re.IGNORECASE,
)


def hide_passwords(text: str, *, is_address: bool = False) -> str:
    """Return a text with the user names, passwords and tokens of addresses replaced by "…".

    Hidden are user:password@, and the values of parameters such as user=, pwd= and token=. In doubt more is
    hidden: up to the last @, and up to the next parameter.

    Args:
        text: a message, or an address.
        is_address: the whole text is one address, so that what follows a blank still belongs to a password.
    """
    if is_address and " ! " not in text:
        return _hide_in_address(text)
    text = _QUOTED.sub(lambda match: f"{match[1]}{_hide_in_address(match[2])}{match[1]}", text)
    text = _LOGIN.sub(rf"\1{HIDDEN}@", text)
    text = _URL.sub(lambda match: _hide_in_address(match[0]), text)
    return _PROPERTY.sub(rf"\1{HIDDEN}", _BARE_LOGIN.sub(f"{HIDDEN}@", text))


def without_passwords(value: Any) -> Any:
    """Return JSON values, or tuples of them, in which addresses have no passwords."""
    if isinstance(value, dict):
        return {name: without_passwords(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(without_passwords, value))
    return hide_passwords(value, is_address=True) if isinstance(value, str) else value


def _hide_in_address(address: str) -> str:
    if "://" not in address and not re.search(_SCHEME, address):
        return _BARE_LOGIN.sub(f"{HIDDEN}@", address)
    address = _NO_HOST.sub(rf"\1:{HIDDEN}", _ADDRESS_LOGIN.sub(rf"\1{HIDDEN}@", address))
    return _PARAMETER.sub(rf"\1{HIDDEN}", address)
