from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from n2b.runtime.errors import ModelError
from n2b.training.checkpoint import load_checkpoint, load_denoiser, save_checkpoint
from n2b.training.models.collapsible import fold
from n2b.training.models.edge import EdgeNet
from n2b.training.models.noise2blur import DnNet
from n2b.training.models.registry import DENOISERS, build_denoiser

Weights = dict[str, torch.Tensor]


def test_a_checkpoint_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    state = {"step": 7, "weights": {"w": torch.rand(3)}, "names": ["a"]}
    save_checkpoint(tmp_path / "checkpoint.pt", state)
    loaded = load_checkpoint(tmp_path)
    assert loaded["step"] == 7
    assert loaded["names"] == ["a"]
    assert torch.equal(loaded["weights"]["w"], state["weights"]["w"])
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.pt"]


class Payload:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("executed"),)  # type: ignore[return-value]


def test_loading_executes_no_pickled_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"format": "n2b-checkpoint-1", "payload": Payload()}, tmp_path / "evil.pt")
    (tmp_path / "plain.pkl").write_bytes(pickle.dumps(Payload()))
    for name in ("evil.pt", "plain.pkl"):
        with pytest.raises(ModelError, match="no checkpoint, or damaged"):
            load_checkpoint(tmp_path / name)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("damage", ["empty", "truncated", "text", "foreign", "missing"])
def test_a_damaged_checkpoint_is_refused_in_one_line(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"step": 1, "w": torch.rand(100)})
    whole = path.read_bytes()
    if damage == "foreign":
        torch.save({"state_dict": {}}, path)
    elif damage == "missing":
        path.unlink()
    else:
        path.write_bytes(
            {"empty": b"", "truncated": whole[: len(whole) // 2], "text": b"hello\n" * 100}[damage]
        )
    with pytest.raises(ModelError) as caught:
        load_checkpoint(tmp_path if damage != "missing" else path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_interrupted_save_leaves_the_former_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"step": 1})
    with pytest.raises(TypeError):
        save_checkpoint(path, {"step": 2, "bad": (x for x in ())})
    assert load_checkpoint(path)["step"] == 1
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_the_denoiser_comes_with_its_description(tmp_path: Path) -> None:
    network = DnNet()
    save_checkpoint(
        tmp_path / "checkpoint.pt",
        {"networks": {"denoiser": network.state_dict()}, "trained": {"noise": "gaussian:25"}},
    )
    loaded, info = load_denoiser(tmp_path)
    x = torch.rand(1, 3, 32, 32)
    assert torch.equal(loaded(x), network(x))
    assert (info.parameters, info.size_multiple_px, info.receptive_radius_px) == (991_203, 32, 158)
    assert info.trained == {"noise": "gaussian:25"}
    assert len(info.sources["checkpoint"]) == 64


@pytest.mark.parametrize("arch", DENOISERS)
def test_the_architecture_is_the_one_that_was_trained(tmp_path: Path, arch: str) -> None:
    network = build_denoiser(arch)
    save(tmp_path, network.state_dict(), config={"arch": arch})
    loaded, info = load_denoiser(tmp_path)
    assert type(loaded) is DENOISERS[arch]
    weights = fold(network).state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in loaded.state_dict().items())
    assert info.architecture == arch
    assert info.size_multiple_px == DENOISERS[arch].size_multiple_px
    assert info.receptive_radius_px == DENOISERS[arch].receptive_radius_px
    assert info.default_halo_px == DENOISERS[arch].default_halo_px


def test_averaged_weights_come_first(tmp_path: Path) -> None:
    last, averaged = EdgeNet(), EdgeNet()
    save(tmp_path, last.state_dict(), config={"arch": "edge"}, averaged=averaged.state_dict())
    loaded, _ = load_denoiser(tmp_path)
    weights = fold(averaged).state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in loaded.state_dict().items())


@pytest.mark.parametrize(
    ("domain", "transform"), [(None, "identity"), ("linear", "identity"), ("log", "log")]
)
def test_the_domain_becomes_the_value_transform(tmp_path: Path, domain: str | None, transform: str) -> None:
    config = {"arch": "edge"} | ({"domain": domain} if domain else {})
    save(tmp_path, EdgeNet().state_dict(), config=config)
    assert load_denoiser(tmp_path)[1].value_transform == transform


def missing(weights: Weights) -> Weights:
    return {name: value for name, value in weights.items() if name != "unet.last.bias"}


def extra(weights: Weights) -> Weights:
    return {**weights, "last.scale": torch.ones(1)}


def misshapen(weights: Weights) -> Weights:
    return {**weights, "unet.last.bias": torch.ones(5)}


def mistyped(weights: Weights) -> Weights:
    return {**weights, "unet.last.bias": weights["unet.last.bias"].double()}


def no_tensor(weights: Weights) -> Weights:
    return {**weights, "unet.last.bias": 3}  # type: ignore[dict-item]


def of_another_architecture(_: Weights) -> Weights:
    return build_denoiser("unet").state_dict()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (missing, r": 1 missing \(unet\.last\.bias\); train"),
        (extra, r": 1 unknown \('last\.scale'\); train"),
        (misshapen, r": 1 of another shape \(unet\.last\.bias: 5, not \d+\); train"),
        (mistyped, r": 1 of another type \(unet\.last\.bias: float64, not float32\); train"),
        (no_tensor, r": 1 of another type \(unet\.last\.bias: int, not float32\); train"),
        (of_another_architecture, r"\d+ missing \([\w., ]+, and \d+ more\), \d+ unknown \(.* more\); train"),
    ],
)
def test_weights_of_another_network_are_refused_by_their_names(
    tmp_path: Path, change: Callable[[Weights], Weights], words: str
) -> None:
    save(tmp_path, change(EdgeNet().state_dict()), config={"arch": "edge"})
    with pytest.raises(
        ModelError, match="does not contain the weights of the architecture 'edge'.*" + words
    ) as caught:
        load_denoiser(tmp_path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 700


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"arch": "resnet"}, "architecture 'resnet'"),
        ({"arch": ["edge"]}, "architecture \\['edge'\\]"),
        ({"arch": "edge", "domain": "sqrt"}, "domain 'sqrt'"),
        ({"arch": "edge", "domain": {}}, "domain {}"),
    ],
)
def test_a_checkpoint_of_a_newer_version_is_refused(
    tmp_path: Path, config: dict[str, object], message: str
) -> None:
    save(tmp_path, EdgeNet().state_dict(), config=config)
    with pytest.raises(ModelError, match=f"{message}.*upgrade n2b"):
        load_denoiser(tmp_path)


def test_a_checkpoint_without_networks_is_refused(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "checkpoint.pt", {"trained": {}})
    with pytest.raises(ModelError, match="is incomplete"):
        load_denoiser(tmp_path)


def save(run: Path, weights: Weights, **state: object) -> None:
    save_checkpoint(run / "checkpoint.pt", {"networks": {"denoiser": weights}, "trained": {}, **state})


@pytest.mark.parametrize(
    "change",
    [
        {"trained": torch.ones(3)},
        {"trained": torch.zeros(1).expand(2**40)},  # 4 TiB, when taken apart
        {"trained": {"noise": torch.ones(3)}},
        {"trained": None},
        {"config": "unet"},
        {"networks": torch.ones(3)},
        {"averaged": []},
    ],
)
def test_entries_of_another_kind_are_refused(tmp_path: Path, change: dict[str, object]) -> None:
    state = {"networks": {"denoiser": EdgeNet().state_dict()}, "trained": {}, "config": {"arch": "edge"}}
    save_checkpoint(tmp_path / "checkpoint.pt", {**state, **change})
    with pytest.raises(ModelError, match="is incomplete"):
        load_denoiser(tmp_path)
