"""What can go wrong, as exceptions whose message is one line that says what to do next.

N2BError
├── UserError                 something asked for cannot be done as asked; exit status 2
│   ├── ImageError            a file that is no image, or one that this model cannot take
│   └── ModelError            a model file that is missing, damaged, or not a denoiser of n2b
│       └── StaleEngineError  an engine that was built for something else than what is here
└── EnvironmentFault          the machine lacks something; exit status 1
    ├── MissingPackageError   a Python package is not installed or cannot load
    ├── DeviceError           a camera, GPU or accelerator that is missing or failed
    ├── OutOfMemory           the memory does not suffice for a batch; a smaller one may fit
    └── VerificationError     an artifact was built but does not compute what its source computes
"""

from __future__ import annotations

import reprlib
from collections.abc import Sequence


class N2BError(Exception):
    """Base of every error that n2b raises on purpose.

    `exit_status` is what the command-line tools exit with when the error reaches them. A message of several
    lines, as other libraries write them, becomes one, and what would steer a terminal is escaped.
    """

    exit_status = 1

    def __init__(self, message: str) -> None:
        line = " ".join(message.split())
        super().__init__("".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line))


class UserError(N2BError):
    """Something asked for cannot be done as asked; the message says what would work."""

    exit_status = 2


class ImageError(UserError):
    """A file that is no image, or an image that this model or format cannot take."""


class ModelError(UserError):
    """A model file that is missing, damaged, or not a denoiser of n2b."""


class StaleEngineError(ModelError):
    """An engine that was built for another GPU, another TensorRT or another ONNX file than is here.

    Args:
        message: which of them differs, and the command that builds it again.
        reason: which of them differs, in half a sentence.
        arguments: those of that command; None: the ONNX file to build it from is not there.
    """

    def __init__(self, message: str, reason: str, arguments: list[str] | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.arguments = arguments


class EnvironmentFault(N2BError):
    """The machine lacks something; the message says what to install or free."""

    exit_status = 1


class MissingPackageError(EnvironmentFault):
    """A Python package is not installed or cannot load.

    Args:
        package: the name that pip knows.
        extra: the extra of noise2blur that contains it, such as "export"; None: no extra does.
        reason: why an installed package cannot be loaded; None: it is not installed.
        hint: what to do, where that is not `pip install`.
    """

    def __init__(
        self,
        package: str,
        *,
        extra: str | None = None,
        reason: str | None = None,
        hint: str | None = None,
    ) -> None:
        command = f"pip install 'noise2blur[{extra}]'" if extra else f"pip install {package}"
        state = f"cannot be loaded ({reason})" if reason else "is not installed"
        super().__init__(f"{package} {state}: {hint or command}")
        self.package = package


class DeviceError(EnvironmentFault):
    """A camera, GPU or accelerator that is missing or has failed."""


class OutOfMemory(EnvironmentFault):
    """The memory of the machine, or of its GPU, does not suffice for a batch; a smaller one may still fit.

    Args:
        device: "cpu", "cuda:0".
        shape: of the batch, N×H×W×3.
    """

    def __init__(self, device: str, shape: Sequence[int]) -> None:
        count, height, width = shape[:3]
        tiles = "a tile" if count == 1 else f"{count} tiles"
        super().__init__(
            f"{device} ran out of memory over {tiles} of {height}×{width} px; "
            "use a smaller --tile or --batch, or set --max-memory"
        )


class VerificationError(EnvironmentFault):
    """An artifact was built but does not compute what its source computes."""


def in_short(value: object) -> str:
    """A value that stood in a file, for an error message: quoted, escaped, and of a bearable length."""
    return _SHORT.repr(value)


def cut(message: object, length: int = 300) -> str:
    """What another library said, which may hold all of a file's content, as one line of bearable length."""
    text = " ".join(str(message).split())
    return text if len(text) <= length else f"{text[:length]}…"


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxlong = _SHORT.maxother = 60
_SHORT.maxlevel = 2
