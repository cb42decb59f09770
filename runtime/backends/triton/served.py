"""Name a model on a server: address, name, version, and how long to wait for it."""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import UserError

DEFAULT_NAME = "n2b"  # as n2b-export --triton names it
DEFAULT_DEADLINE_S = 60.0
_PORT = 8001
_SECURE = {"grpc": False, "grpcs": True}


@dataclass(frozen=True)
class ServedModel:
    """A model of a Triton Inference Server."""

    address: str  # HOST:PORT
    is_secure: bool  # by TLS
    name: str
    version: str  # "": the one that the server chooses
    deadline_s: float  # longest wait for a batch, retries included

    @property
    def url(self) -> str:
        """Return the address as it is shown."""
        return f"grpc{'s' if self.is_secure else ''}://{self.address}"

    def __str__(self) -> str:
        return f"model '{self.name}'{f' version {self.version}' if self.version else ''} of {self.url}"


def parse_served(url: str | None, model: str, deadline_s: float | None) -> ServedModel:
    """Return the model that the arguments of `Denoiser` name.

    Args:
        url: grpc://HOST[:PORT], or grpcs:// for TLS; the port is 8001 by default.
        model: NAME or NAME:VERSION.
        deadline_s: None: 60.

    Raises:
        UserError: the URL is missing or of another kind, or the version or deadline is no positive number.
    """
    if not url:
        raise UserError("triton needs the address of a server; name it with --url grpc://HOST:8001")
    scheme, has_scheme, address = url.partition("://")
    if not has_scheme:
        scheme, address = "grpc", url
    address = address.rstrip("/")
    if scheme not in _SECURE or not address or "/" in address or "@" in address:
        raise UserError(
            f"'{url}' is no address of a server; name one as grpc://HOST:8001, or grpcs:// for TLS"
        )
    has_port = ":" in address.rpartition("]")[2]  # [::1] has none
    name, _, version = model.partition(":")
    if version and not (version.isdecimal() and int(version)):
        raise UserError(f"'{version}' is no version of {name}; versions are 1, 2, …")
    deadline_s = DEFAULT_DEADLINE_S if deadline_s is None else deadline_s
    if not 0 < deadline_s < float("inf"):
        raise UserError(f"a deadline of {deadline_s} s is not possible; give a positive number")
    return ServedModel(
        address if has_port else f"{address}:{_PORT}",
        _SECURE[scheme],
        name or DEFAULT_NAME,
        version,
        deadline_s,
    )
