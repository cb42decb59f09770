"""The errors of n2b; each message is one line that says what to do next.

N2BError
├── UserError                 a request that cannot be fulfilled; exit status 2
│   ├── ImageError            a file is not an image, or the model cannot take it
│   └── ModelError            a model file is missing, damaged, or not a denoiser of n2b
│       └── StaleEngineError  an engine was built for another GPU, TensorRT or ONNX file
└── EnvironmentFault          the machine lacks something; exit status 1
    ├── MissingPackageError   a Python package is not installed or cannot be loaded
    ├── DeviceError           a camera, GPU or accelerator is missing or failed
    ├── OutOfMemory           too little memory for a batch; a smaller one may fit
    └── VerificationError     a built model does not compute the same as its source
"""

from __future__ import annotations

import reprlib
from collections.abc import Sequence

from .passwords import hide_passwords


class N2BError(Exception):
    """Base class of all errors that n2b raises on purpose.

    `exit_status` is the exit status of the commands. A message of several lines becomes one line, and
    control characters are escaped. Passwords of addresses are hidden.
    """

    exit_status = 1

    def __init__(self, message: str) -> None:
        super().__init__(printable(hide_passwords(message)))


class UserError(N2BError):
    """A request that cannot be fulfilled; the message says what would work."""

    exit_status = 2


class ImageError(UserError):
    """A file that is not an image, or an image that the model or format cannot take."""


class ModelError(UserError):
    """A model file that is missing, damaged, or not a denoiser of n2b."""


class StaleEngineError(ModelError):
    """An engine that was built for another GPU, TensorRT version or ONNX file.

    Args:
        message: the difference, and the command that rebuilds the engine.
        reason: the difference alone, as a clause.
        arguments: the arguments of that command; None: the ONNX file is missing.
    """

    def __init__(self, message: str, reason: str, arguments: list[str] | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.arguments = arguments


class EnvironmentFault(N2BError):
    """The machine lacks something; the message says what to install or free."""

    exit_status = 1


class MissingPackageError(EnvironmentFault):
    """A Python package that is not installed or cannot be loaded.

    Args:
        package: the name that pip knows.
        extra: the extra of noise2blur that contains it, such as "export"; None: no extra does.
        reason: why an installed package cannot be loaded; None: it is not installed.
        hint: what to do, where that is not `pip install`.
    """

    def __init__(
        self, package: str, *, extra: str | None = None, reason: str | None = None, hint: str | None = None
    ) -> None:
        command = f"pip install 'noise2blur[{extra}]'" if extra else f"pip install {package}"
        state = f"cannot be loaded ({reason})" if reason else "is not installed"
        super().__init__(f"{package} {state}: {hint or command}")
        self.package = package


class DeviceError(EnvironmentFault):
    """A camera, GPU or accelerator that is missing or has failed."""


class OutOfMemory(EnvironmentFault):
    """Too little memory on the machine or its GPU for a batch; a smaller batch may fit.

    Args:
        device: "cpu", "cuda:0".
        shape: shape of the batch, N×H×W×3.
    """

    def __init__(self, device: str, shape: Sequence[int]) -> None:
        count, height, width = shape[:3]
        tiles = "a tile" if count == 1 else f"{count} tiles"
        super().__init__(
            f"{device} ran out of memory over {tiles} of {height}×{width} px; "
            "use a smaller --tile or --batch, or set --max-memory"
        )


class VerificationError(EnvironmentFault):
    """A built model that does not compute the same as its source."""


def printable(text: str, length: int = 8000) -> str:
    """Return text that may come from a file as one line that is safe to print.

    Runs of white space become one space, other control characters are escaped, and a long text is cut.
    """
    line = " ".join(text.split())
    if len(line) > length:
        line = f"{line[:length]}…"
    return escaped(line)


def escaped(text: str) -> str:
    """Return text with its control characters escaped: printed raw they would steer the terminal."""
    return text if text.isprintable() else "".join(map(_escaped_character, text))


def _escaped_character(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()


def short_repr(value: object) -> str:
    """Return a short repr of a value from a file, for an error message."""
    return _SHORT.repr(value)


def shorten(message: object, length: int = 300) -> str:
    """Return a message of another library as one line of limited length; it may quote a whole file."""
    text = " ".join(str(message).split())
    return text if len(text) <= length else f"{text[:length]}…"


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxlong = _SHORT.maxother = 60
_SHORT.maxlevel = 2
