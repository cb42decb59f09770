"""OpenCV, found when it is needed, with one line that says what to install when it is not there."""

from __future__ import annotations

from typing import Any

from .errors import MissingPackageError


def load_opencv() -> Any:
    """The cv2 module.

    Raises:
        MissingPackageError: it is not installed, or it is and a library that it needs is not.
    """
    try:
        import cv2
    except ModuleNotFoundError as error:
        if error.name != "cv2":
            raise MissingPackageError("opencv-python-headless", reason=str(error)) from error
        raise MissingPackageError("opencv-python-headless") from error
    except ImportError as error:  # e.g. libGL.so.1, which opencv-python wants and a slim container lacks
        raise MissingPackageError(
            "opencv-python-headless", reason=f"the OpenCV that is installed fails: {error}"
        ) from error
    return cv2
