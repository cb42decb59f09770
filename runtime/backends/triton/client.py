"""Talk to a Triton Inference Server: requests in flight, retries, and errors in one line."""

from __future__ import annotations

import queue
import time
from typing import Any

import numpy as np

from ...errors import DeviceError, EnvironmentFault, ModelError, N2BError, OutOfMemory, shorten
from ...system.packages import require
from ..graph_contract import DENOISED, IMAGE
from .served import ServedModel

_TYPES = {"uint8": "UINT8", "float32": "FP32"}
_FIRST_DELAY_S, _LAST_DELAY_S = 0.1, 2.0  # between retries
_QUESTION_S = 10.0  # longest wait for an answer about a model
_OUT_OF_MEMORY = ("out of memory", "bad_alloc", "Failed to allocate", "failed to allocate")


class Connection:
    """A connection to a server, for one model.

    Raises:
        MissingPackageError: tritonclient is not installed.
    """

    def __init__(self, served: ServedModel) -> None:
        self.served = served
        self._grpc: Any = require("tritonclient.grpc", package="tritonclient[grpc]", extra="triton")
        self._client: Any = self._grpc.InferenceServerClient(served.address, ssl=served.is_secure)

    def describe(self) -> tuple[Any, Any]:
        """Return the server's metadata and config of the model.

        Raises:
            ModelError: the server has no such model.
            DeviceError: it does not answer, or the model is not ready.
        """
        name, version = self.served.name, self.served.version
        timeout = min(_QUESTION_S, self.served.deadline_s)
        try:
            if not self._client.is_model_ready(name, version, client_timeout=timeout):
                raise self._not_ready(timeout)
            metadata = self._client.get_model_metadata(name, version, client_timeout=timeout)
            return metadata, self._client.get_model_config(name, version, client_timeout=timeout).config
        except self._grpc.InferenceServerException as error:
            raise self.fault_of(error) from error

    def send(self, batch: np.ndarray) -> Request:
        """Send a batch, N×H×W×3; return at once."""
        return Request(self, batch)

    def start(self, batch: np.ndarray, timeout_s: float) -> queue.Queue[tuple[Any, Any]]:
        """Send a batch once; the queue gets a result and None, or None and an error."""
        tensor = self._grpc.InferInput(IMAGE, batch.shape, _TYPES[batch.dtype.name])
        tensor.set_data_from_numpy(batch)
        answers: queue.Queue[tuple[Any, Any]] = queue.Queue()
        self._client.async_infer(
            self.served.name,
            [tensor],
            lambda result, error: answers.put((result, error)),
            model_version=self.served.version,
            outputs=[self._grpc.InferRequestedOutput(DENOISED)],
            client_timeout=timeout_s,
        )
        return answers

    def fault_of(self, error: Exception, shape: tuple[int, ...] = ()) -> N2BError:
        """Return a server's error as one of n2b, with what to do."""
        status, message = status_of(error), shorten(getattr(error, "message", lambda: error)())
        served = self.served
        if status == "NOT_FOUND":
            return ModelError(f"there is no {served}; {self._models()}")
        if status == "UNAVAILABLE":
            return DeviceError(
                f"no Triton server answers at {served.url}: {message}; start it, or check --url"
            )
        if status in ("DEADLINE_EXCEEDED", "CANCELLED"):
            return DeviceError(
                f"{served} gave no answer within {served.deadline_s:g} s; raise --deadline, or use a smaller "
                "--tile or --batch"
            )
        if status == "INVALID_ARGUMENT":
            return ModelError(
                f"{served} refuses the tiles: {message}; export it again with n2b-export --triton"
            )
        if shape and any(words in message for words in _OUT_OF_MEMORY):
            return OutOfMemory(served.url, shape)
        return EnvironmentFault(f"{served} failed: {message}; the server's log says more")

    def close(self) -> None:
        """End the connection."""
        self._client.close()

    def _not_ready(self, timeout_s: float) -> N2BError:
        served = self.served
        index = self._client.get_model_repository_index(client_timeout=timeout_s)
        versions = [one for one in index.models if one.name == served.name]
        if not versions:
            return ModelError(f"there is no {served}; {_listed(index)}")
        if served.version and all(one.version not in ("", served.version) for one in versions):
            known = ", ".join(one.version for one in versions)
            return ModelError(f"there is no {served}; there are versions {known}")
        reasons = "; ".join(dict.fromkeys(one.reason for one in versions if one.reason))
        return DeviceError(
            f"{served} is not ready{f' ({shorten(reasons)})' if reasons else ''}; look at the server's log"
        )

    def _models(self) -> str:
        try:
            return _listed(self._client.get_model_repository_index(client_timeout=_QUESTION_S))
        except self._grpc.InferenceServerException:
            return "add it with n2b-export --triton"


class Request:
    """A batch in flight, sent again until the deadline if the server was away or overloaded."""

    def __init__(self, connection: Connection, batch: np.ndarray) -> None:
        self._connection, self._batch = connection, batch
        self._deadline = time.monotonic() + connection.served.deadline_s
        self._answers = connection.start(batch, connection.served.deadline_s)

    def result(self) -> np.ndarray:
        """Wait for the result, N×H×W×3.

        Raises:
            DeviceError: the server is away, or late.
            OutOfMemory: a smaller batch may fit.
            ModelError: it does not take or return tiles as n2b does.
            EnvironmentFault: it failed otherwise.
        """
        delay_s = _FIRST_DELAY_S
        while True:
            result, error = self._answers.get()
            if error is None:
                return self._pixels(result)
            left_s = self._deadline - time.monotonic()
            if status_of(error) != "UNAVAILABLE" or left_s <= delay_s:
                raise self._connection.fault_of(error, self._batch.shape) from error
            time.sleep(delay_s)
            self._answers = self._connection.start(self._batch, left_s - delay_s)
            delay_s = min(2 * delay_s, _LAST_DELAY_S)

    def _pixels(self, result: Any) -> np.ndarray:
        try:
            pixels = result.as_numpy(DENOISED)
        except ValueError as error:  # fewer bytes than its shape
            raise ModelError(
                f"{self._connection.served} returns a damaged result: {shorten(error)}"
            ) from error
        if pixels is None:
            raise ModelError(f"{self._connection.served} returns no '{DENOISED}'; export it with n2b-export")
        return pixels


def status_of(error: Exception) -> str:
    """Return the name of gRPC's status, such as "UNAVAILABLE"; "" without one."""
    status = getattr(error, "status", lambda: "")()
    return str(status or "").rpartition(".")[2]


def _listed(index: Any) -> str:
    names = ", ".join(sorted({one.name for one in index.models}))
    return f"it has {names}" if names else "it has none; add one with n2b-export --triton"
