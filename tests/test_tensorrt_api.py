"""Every name of TensorRT that the code uses is there where the code uses it, and in docs/tensorrt-api.md.

The names are gathered from the source: attributes of the module (`trt`, or `rtx` where it is TensorRT-RTX for
certain), and attributes of the objects that come from it, known by the names that the code gives them.
"""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from n2b.runtime.system.tensorrt import is_installed, load

ROOT = Path(__file__).parent.parent
WITHOUT_TENSORRT = {"engine_compat", "engine_file", "engine_rebuild", "options", "profile"}  # never call it
FILES = [
    path
    for folder in ("export/tensorrt", "runtime/backends/tensorrt")
    for path in sorted((ROOT / folder).glob("*.py"))
    if path.stem not in WITHOUT_TENSORRT
]
MODULES = ("trt", "rtx")

# What the code calls its objects, and what they are
OBJECTS = {
    "builder": "Builder", "config": "IBuilderConfig", "network": "INetworkDefinition", "parser": "OnnxParser",
    "layer": "ILayer", "source_layer": "ILayer", "activations": "ITensor", "shapes": "IOptimizationProfile",
    "runtime": "Runtime", "engine": "ICudaEngine", "inspector": "EngineInspector",
    "parser_error": "ParserError", "self._runtime": "Runtime", "self._engine": "ICudaEngine",
    "self._context": "IExecutionContext", "context": "IExecutionContext",
    "self._config": "IRuntimeConfig", "self._cache": "IRuntimeCache", "cache": "ITimingCache",
}  # fmt: skip
RETURNED = {
    "IBuilderConfig.get_timing_cache": "ITimingCache",
    "ILayer.get_output": "ITensor",
    "ILayer.get_input": "ITensor",
    "INetworkDefinition.get_layer": "ILayer",
}
# Names that one flavour alone has. What uses them is for TensorRT-RTX only: `--portable`, and `RuntimeCache`.
ONLY_RTX = {
    "ComputeCapability",
    "IBuilderConfig.num_compute_capabilities",
    "IBuilderConfig.set_compute_capability",
    "CudaGraphStrategy.WHOLE_GRAPH_CAPTURE",
    "IRuntimeConfig.create_runtime_cache",
    "IRuntimeConfig.cuda_graph_strategy",
    "IRuntimeConfig.set_runtime_cache",
    "IRuntimeCache.deserialize",
    "IRuntimeCache.serialize",
}
ONLY_TENSORRT: set[str] = set()


def names_in(path: Path) -> Iterator[str]:
    """The names of TensorRT's API that a file uses: "BuilderFlag.TF32", "Builder.create_network"."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute):
            if (chain := _chain(node)) and chain[0] in MODULES:
                yield ".".join(part for part in chain[1:3] if part not in ("__init__", "__members__"))
            elif owner := _class_of(node.value):
                yield f"{owner}.{node.attr}"


def _chain(node: ast.expr) -> list[str] | None:
    """a.b.c → [a, b, c]; None where it is not made of names alone."""
    if isinstance(node, ast.Name):
        return [node.id]
    if isinstance(node, ast.Attribute) and (above := _chain(node.value)):
        return [*above, node.attr]
    return None


def _class_of(node: ast.expr) -> str | None:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return RETURNED.get(f"{_class_of(node.func.value)}.{node.func.attr}")
    return OBJECTS.get(".".join(_chain(node) or []))


def used() -> set[str]:
    names = {name for path in FILES for name in names_in(path)}
    return {name for name in names if not any(other.startswith(f"{name}.") for other in names)}  # the longest


def stub_names() -> set[str]:
    """Return the names that the type stubs of TensorRT declare, members of base classes included."""
    spec = importlib.util.find_spec("tensorrt_bindings")
    folders = list(spec.submodule_search_locations or []) if spec else []
    stubs = [Path(folder) / "tensorrt.pyi" for folder in folders]
    if not stubs or not stubs[0].is_file():
        pytest.skip("needs the package tensorrt-stubs")
    classes: dict[str, tuple[set[str], list[str]]] = {}
    # Some signatures in the stubs are not valid Python, and none is needed here
    text = re.sub(
        r"^( *def \w+)\(.*\).*:", r"\1():", stubs[0].read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    _gather(ast.parse(text).body, "", classes)
    names = {"__version__"}  # of the package, which the stubs of its extension module do not declare
    for name in classes:
        names |= {name, *(f"{name}.{member}" for member in _members(name, classes))}
    return names


def _gather(body: list[ast.stmt], prefix: str, classes: dict[str, tuple[set[str], list[str]]]) -> None:
    for node in body:
        if isinstance(node, ast.ClassDef):
            members = {name for statement in node.body for name in _declared(statement)}
            classes[prefix + node.name] = (members, [ast.unparse(base) for base in node.bases])
            _gather(node.body, f"{prefix}{node.name}.", classes)


def _declared(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    targets = [node.target] if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [])
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _members(name: str, classes: dict[str, tuple[set[str], list[str]]]) -> set[str]:
    if name not in classes:
        return set()
    members, bases = classes[name]
    return members.union(*(_members(base, classes) for base in bases))


def has(module: Any, name: str) -> bool:
    for part in name.split("."):
        if not hasattr(module, part):
            return False
        module = getattr(module, part)
    return True


def test_the_code_uses_what_it_is_known_to_use() -> None:
    names = used()
    assert len(FILES) >= 6
    assert {"Builder.create_network", "NetworkDefinitionCreationFlag.STRONGLY_TYPED", "__version__"} <= names
    assert {"IExecutionContext.execute_async_v3", "Runtime.deserialize_cuda_engine"} <= names
    assert {"ITimingCache.serialize", "IOptimizationProfile.set_shape", "ParserError.desc"} <= names
    assert names >= ONLY_RTX | ONLY_TENSORRT


def test_every_object_has_a_name_that_is_known() -> None:
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.arg) and node.annotation is not None:
                chain = _chain(node.annotation) or []
                assert (
                    chain[:1] != ["trt"]
                    or chain == ["trt", "ILogger", "Severity"]
                    or (OBJECTS.get(node.arg) == chain[1])
                ), f"{path.name}: {node.arg}"
            if isinstance(node, ast.Assign) and _is_made_by_tensorrt(node.value):
                name = ".".join(_chain(node.targets[0]) or [])
                assert name in OBJECTS, f"{path.name}: {name}"


def _is_made_by_tensorrt(node: ast.expr) -> bool:
    """Return whether it is `builder.create_…(…)` or similar."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    makes = node.func.attr.startswith(("create_", "deserialize_"))
    return makes and _class_of(node.func.value) is not None


def test_tensorrt_has_what_the_code_uses() -> None:
    declared = stub_names()
    assert sorted(used() - declared) == sorted(ONLY_RTX)


@pytest.mark.skipif(not is_installed("tensorrt-rtx"), reason="needs the package tensorrt-rtx")
def test_tensorrt_rtx_has_what_the_code_uses() -> None:
    trt = load("tensorrt-rtx")
    assert sorted(name for name in used() if not has(trt, name)) == sorted(ONLY_TENSORRT)


def test_names_that_are_gone_in_newer_versions_are_not_used() -> None:
    gone = re.compile(r"EXPLICIT_BATCH|binding|execute_async_v2|Calibrat|dynamic_range|device_memory_size\b")
    assert [name for name in used() if gone.search(name)] == []


def test_the_table_names_what_the_code_uses() -> None:
    lines = (ROOT / "docs" / "tensorrt-api.md").read_text(encoding="utf-8").splitlines()
    rows = [line.split("|")[1:-1] for line in lines if line.startswith("| `")]
    named = [cells[0].strip(" `") for cells in rows]
    assert sorted(set(named)) == sorted(named)
    assert set(named) == used()
    for name, cells in zip(named, rows, strict=True):
        _, ten, eleven, rtx, guard = (cell.strip() for cell in cells)
        assert (ten == eleven == "no") == (name in ONLY_RTX)
        assert rtx.startswith("no") or name not in ONLY_TENSORRT
        assert guard or "no" not in (ten, eleven, rtx), (
            f"{name} is missing somewhere, and nothing says what then"
        )
