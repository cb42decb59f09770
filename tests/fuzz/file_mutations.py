"""Damage to files: to their bytes, whatever they are, and to what JSON, ONNX and checkpoints say."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import onnx
import torch
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from n2b.runtime.model_info import METADATA_KEY

EDGE_BYTES = 4096  # at the start and the end of a file: where its structure is
INTEGERS = [0, 1, -1, 3, 255, 2**31 - 1, -(2**31), 2**31, 2**60, 2**63 - 1, -(2**63), 10**400]
FLOATS = [0.0, -1.5, 1e308, 1e-320, float("nan"), float("inf"), float("-inf")]
TEXTS = [
    "",
    "uint8",
    "fp16",
    "contract.x",
    "two\nlines\x1b[31m",
    "\ud800",
    "σ" * 5000,
    "../../etc/passwd",
    "1e999",
]
NESTED = "deeper than a parser goes"  # stands in JSON for a list in a list in a list …


def change_bytes(data: bytes, random: Random) -> bytes:
    """Flip bits, cut, insert, repeat or swap parts of any file."""
    changed = bytearray(data)
    for _ in range(random.choice([1, 1, 2, 5, 20])):
        start, end = sorted((_position(len(changed), random), _position(len(changed), random)))
        end = min(end, start + random.choice([1, 4, 64, 4096]))
        match random.choice(["flip", "flip", "set", "cut", "insert", "repeat", "truncate", "zero"]):
            case "flip" if changed:
                changed[min(start, len(changed) - 1)] ^= 1 << random.randrange(8)
            case "set" if changed:
                changed[min(start, len(changed) - 1)] = random.choice([0, 1, 0x7F, 0x80, 0xFF])
            case "cut":
                del changed[start:end]
            case "insert":
                changed[start:start] = random.randbytes(random.choice([1, 8, 500]))
            case "repeat":
                changed[start:start] = changed[start:end] * random.choice([1, 2, 50])
            case "truncate" if random.random() < 0.3:
                del changed[start:]
            case "zero":
                changed[start:end] = bytes(end - start)
            case _:
                pass
    return bytes(changed)


def _position(size: int, random: Random) -> int:
    edge = min(size, EDGE_BYTES)
    return random.choice([random.randint(0, size), random.randint(0, edge), size - random.randint(0, edge)])


def change_json(data: bytes, random: Random) -> bytes:
    """Replace, remove, rename or add values of a JSON file."""
    changed = json.loads(data)
    for _ in range(random.choice([1, 1, 2, 4])):
        changed = _change_value(changed, random)
    text = json.dumps(changed)
    depth = random.choice([30, 300, 900, 5000])
    return text.replace(f'"{NESTED}"', "[" * depth + "]" * depth).encode()


def _change_value(value: Any, random: Random) -> Any:
    if isinstance(value, dict) and value and random.random() < 0.9:
        key = random.choice(list(value))
        match random.choice(["into", "into", "into", "remove", "rename"]):
            case "into":
                value[key] = _change_value(value[key], random)
            case "remove":
                del value[key]
            case "rename":
                value[random.choice(TEXTS)] = value.pop(key)
        return value
    if isinstance(value, list) and value and random.random() < 0.7:
        index = random.randrange(len(value))
        value[index] = _change_value(value[index], random)
        return value
    nested = [[], {}, [[1], {}], {"a": {"b": [None]}}, [0] * 1000, NESTED]
    return random.choice([None, True, False, *INTEGERS, *FLOATS, *TEXTS, *nested])


def change_onnx(data: bytes, random: Random) -> bytes:
    """Change fields of an ONNX file through protobuf, or what its description says."""
    model = onnx.ModelProto.FromString(data)
    for _ in range(random.choice([1, 1, 2, 5])):
        described = [entry for entry in model.metadata_props if entry.key == METADATA_KEY]
        if described and random.random() < 0.2:
            entry = described[0]
            _try(lambda e=entry: setattr(e, "value", change_json(e.value.encode(), random).decode()))
        else:
            _change_message(model, random)
    return model.SerializeToString()


def _change_message(message: Message, random: Random) -> None:
    """Walk from a message to a random field below it, and change that; seldom one that was not set."""
    fields = [field for field, _ in message.ListFields()]
    if not fields or random.random() < 0.1:
        fields = list(message.DESCRIPTOR.fields)
    field: Any = random.choice(fields)  # of one of two classes that are alike
    value = getattr(message, field.name)
    if field.is_repeated:
        _change_repeated(value, field, random)
    elif field.type != FieldDescriptor.TYPE_MESSAGE:
        _set(message, field, random)
    elif random.random() < 0.1:
        message.ClearField(field.name)
    else:
        value.SetInParent()
        _change_message(value, random)


def _change_repeated(values: Any, field: FieldDescriptor, random: Random) -> None:
    is_message = field.type == FieldDescriptor.TYPE_MESSAGE
    index = random.randrange(len(values)) if values else None
    match random.choice(["into", "into", "into", "into", "remove", "repeat", "swap", "add"]):
        case "into" if index is not None and is_message:
            _change_message(values[index], random)
        case "into" if index is not None:
            _try(lambda: values.__setitem__(index, _scalar(field, random)))
        case "remove" if index is not None:
            del values[index]
        case "repeat" if index is not None:
            values.append(values[index])
        case "swap" if index is not None and is_message:
            other, kept = values[random.randrange(len(values))], type(values[index])()
            kept.CopyFrom(values[index])
            values[index].CopyFrom(other)
            other.CopyFrom(kept)
        case _ if is_message:
            _change_message(values.add(), random)
        case _:
            _try(lambda: values.append(_scalar(field, random)))


def _set(message: Message, field: FieldDescriptor, random: Random) -> None:
    _try(lambda: setattr(message, field.name, _scalar(field, random)))


def _scalar(field: FieldDescriptor, random: Random) -> Any:
    if field.enum_type is not None:
        return random.choice([*field.enum_type.values_by_number, 99])
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_STRING if field.type == FieldDescriptor.TYPE_BYTES:
            return random.choice([b"", b"\0", b"\xff" * 7, bytes(4000)])
        case FieldDescriptor.CPPTYPE_STRING:
            return random.choice(
                [*TEXTS, "If", "Constant", "Reshape", "Resize", "image", "input", "ai.onnx.ml"]
            )
        case FieldDescriptor.CPPTYPE_FLOAT | FieldDescriptor.CPPTYPE_DOUBLE:
            return random.choice(FLOATS)
        case _:
            return random.choice([*INTEGERS, *range(2, 25)])


def _try(change: Callable[[], object]) -> None:
    """Protobuf itself refuses some values; the file then stays as it is."""
    try:
        change()
    except (ValueError, TypeError, OverflowError, RecursionError):
        return


class Payload:
    """Pickles to a call that makes a folder `executed`, in a reader that executes what it reads."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.mkdir, (Path("executed"),)  # type: ignore[return-value]


def change_checkpoint(data: bytes, random: Random) -> bytes:
    """Change what a checkpoint holds, or the pickle inside of it, or hide code in it."""
    kind = random.choice(["values", "values", "pickle", "pickle", "code"])
    if kind == "pickle":
        return _change_pickle(data, random)
    state = torch.load(io.BytesIO(data), weights_only=True)
    for _ in range(random.choice([1, 1, 3])):
        _change_state(state, random)
    if kind == "code":
        if random.random() < 0.3:
            return pickle.dumps(Payload(), protocol=random.randint(0, 5))
        state[random.choice([*state, "new"])] = Payload()
    file = io.BytesIO()
    torch.save(state, file, _use_new_zipfile_serialization=random.random() < 0.8)
    return file.getvalue()


def _change_state(state: dict[Any, Any], random: Random) -> None:
    key = random.choice(list(state)) if state else "new"
    value = state.get(key)
    if isinstance(value, dict) and value and random.random() < 0.85:
        _change_state(value, random)
    elif random.random() < 0.2:
        state.pop(key, None)
    elif random.random() < 0.1:
        state[random.choice([*TEXTS, 3, None])] = value
    else:
        others = [None, *INTEGERS, *FLOATS, *TEXTS[:5], [], {}, [value]]
        state[key] = _other_tensor(value, random) if random.random() < 0.4 else random.choice(others)


def _other_tensor(value: Any, random: Random) -> torch.Tensor:
    plain = isinstance(value, torch.Tensor) and value.layout == torch.strided and value.numel() < 10**6
    like = value if plain else torch.ones(2, 3)
    return random.choice(TENSORS)(like)


TENSORS: list[Callable[[torch.Tensor], torch.Tensor]] = [
    lambda like: like.double(),
    lambda like: like.half(),
    lambda like: like.bool(),
    lambda like: like.to(torch.complex64),
    lambda like: like.to_sparse(),
    lambda like: like.to("meta"),
    lambda like: like[None],
    lambda like: like.flatten(),
    lambda like: like[None].transpose(0, -1),
    lambda like: torch.full_like(like, float("nan")),
    lambda _: torch.zeros(0),
    lambda _: torch.zeros(()),
    lambda _: torch.zeros(1).expand(2**40),
]


def _change_pickle(data: bytes, random: Random) -> bytes:
    """Damage one entry of the archive and write it anew, so that its checksums are right."""
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as archive, zipfile.ZipFile(changed, "w") as rewritten:
        names = archive.namelist()
        chosen = random.choice([name for name in names if name.endswith(".pkl")] * 9 + names)
        for name in names:
            content = archive.read(name)
            rewritten.writestr(name, change_bytes(content, random) if name == chosen else content)
    return changed.getvalue()
