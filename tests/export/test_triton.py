from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from n2b.export import engine as engine_module
from n2b.export import exporter
from n2b.export.exporter import export_model
from n2b.export.settings import ExportSettings
from n2b.export.source import Source, load_source
from n2b.export.triton import add_to_repository
from n2b.runtime.errors import EnvironmentFault, UserError
from n2b.runtime.model_info import ModelInfo

from .conftest import Install, WriteModel


@pytest.fixture
def source(bare: onnx.ModelProto, write_model: WriteModel) -> Source:
    return load_source(write_model(bare, "source.onnx"))


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def settings_for(repository: Path, **more: object) -> ExportSettings:
    chosen = {"tile_px": 64, "target": "none", "verify": False, "triton": repository, **more}
    return ExportSettings(**chosen)  # type: ignore[arg-type]


@pytest.mark.parametrize(("fp16", "name"), [(False, "model.onnx"), (True, "model.fp16.onnx")])
def test_onnx_is_served_in_the_precision_that_was_asked_for(
    source: Source, tmp_path: Path, fp16: bool, name: str
) -> None:
    repository, out = tmp_path / "below" / "repository", tmp_path / "out"
    said: list[str] = []
    export_model(source, out, settings_for(repository, fp16=fp16), said.append)
    assert files_in(repository) == ["n2b/1/model.onnx", "n2b/config.pbtxt"]
    assert (repository / "n2b" / "1" / "model.onnx").read_bytes() == (out / name).read_bytes()
    config = (repository / "n2b" / "config.pbtxt").read_text(encoding="utf-8")
    assert f'value: "{"FP16" if fp16 else "FP32"}"' in config
    assert said == [f"{name} is version 1 of 'n2b' in {repository}"]


@pytest.mark.parametrize(
    ("flavour", "served"), [("tensorrt", "1/model.plan"), ("tensorrt-rtx", "1/model.onnx")]
)
def test_an_engine_is_served_where_the_server_can_run_it(
    source: Source,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    install_tensorrt: Install,
    flavour: str,
    served: str,
) -> None:
    install_tensorrt(flavour)

    def build(_onnx: Path, engine: Path, _settings: object) -> ModelInfo:
        engine.write_bytes(b"plan")
        return source.info

    monkeypatch.setattr(engine_module, "build_engine", build)
    monkeypatch.setattr(engine_module, "built_precision", lambda _info: "fp16")
    export_model(source, tmp_path / "out", settings_for(tmp_path / "repository", fp16=True, target=None))
    assert files_in(tmp_path / "repository" / "n2b") == [served, "config.pbtxt"]
    config = (tmp_path / "repository" / "n2b" / "config.pbtxt").read_text(encoding="utf-8")
    assert ("tensorrt_plan" in config) == (flavour == "tensorrt")


def add(repository: Path, name: str, content: bytes, info: ModelInfo, **settings: object) -> Path:
    file = repository.parent / "model.onnx"
    file.write_bytes(content)
    return add_to_repository(repository, name, file, info, settings_for(repository, **settings))


def test_the_next_export_is_the_next_version_and_other_models_stay(tmp_path: Path, info: ModelInfo) -> None:
    repository = tmp_path / "repository"
    add(repository, "one", b"1", info)
    add(repository, "other", b"other", info)
    (repository / "one" / "9").mkdir()
    (repository / "one" / "012").mkdir()  # the server ignores it
    (repository / "one" / "labels").mkdir()
    assert add(repository, "one", b"2", info, tile_px=128) == repository / "one" / "10"
    assert files_in(repository) == [
        "one/1/model.onnx",
        "one/10/model.onnx",
        "one/config.pbtxt",
        "other/1/model.onnx",
        "other/config.pbtxt",
    ]
    assert "128, 128, 3" in (repository / "one" / "config.pbtxt").read_text(encoding="utf-8")
    assert (repository / "one" / "1" / "model.onnx").read_bytes() == b"1"
    assert sorted(path.name for path in repository.iterdir()) == ["one", "other"]


def test_a_version_that_cannot_be_published_leaves_the_model_as_it_was(
    tmp_path: Path, info: ModelInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = tmp_path / "repository"
    add(repository, "one", b"1", info)
    before = (repository / "one" / "config.pbtxt").read_text(encoding="utf-8")
    replace = Path.replace

    def fail_at_the_config(self: Path, target: Path) -> Path:
        if target == repository / "one" / "config.pbtxt" and self.parent.suffix == ".part":
            raise OSError(28, "No space left on device")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fail_at_the_config)
    with pytest.raises(UserError, match="No space left on device"):
        add(repository, "one", b"2", info, tile_px=128)
    assert files_in(repository) == ["one/1/model.onnx", "one/config.pbtxt"]
    assert not (repository / "one" / "2").exists()
    assert (repository / "one" / "config.pbtxt").read_text(encoding="utf-8") == before


def test_an_export_that_fails_adds_nothing_and_a_repository_that_fails_exports_nothing(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise EnvironmentFault("no")

    settings = settings_for(tmp_path / "repository")
    for function in ("export_onnx", "add_to_repository"):
        with monkeypatch.context() as patch, pytest.raises(EnvironmentFault):
            patch.setattr(exporter, function, fail)
            export_model(source, tmp_path / "out", settings)
        assert [path.name for path in tmp_path.iterdir()] == ["source.onnx"]


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "a b", "ä"])
def test_names_that_are_no_folder_s_are_refused_before_any_work(
    source: Source, tmp_path: Path, name: str
) -> None:
    settings = settings_for(tmp_path / "repository", triton_name=name, verify=True)
    with pytest.raises(UserError, match="cannot name a model"):
        export_model(source, tmp_path / "out", settings)
    assert [path.name for path in tmp_path.iterdir()] == ["source.onnx"]


def test_a_file_in_the_repository_s_place_is_refused(source: Source, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"source\.onnx is a file; name the folder"):
        export_model(source, tmp_path / "out", settings_for(tmp_path / "source.onnx"))
