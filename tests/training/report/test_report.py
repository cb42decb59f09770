"""The report of a run: what it shows, what it says, and that it comes whatever is missing."""

from __future__ import annotations

import base64
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
from n2b.runtime.images.image import read_image
from n2b.training.evaluation.no_reference import NoReferenceQuality
from n2b.training.metrics import Curve, MetricsLog
from n2b.training.report import write_report
from n2b.training.report.curves import run_charts, stage_change
from n2b.training.report.figures import pick_crops, residual_figure
from n2b.training.report.html import render
from n2b.training.report.snapshots import decay_rows, read_snapshots
from n2b.training.report.verdict import FAIR, GOOD, POOR, verdict_on

from ..conftest import smooth_image


class Page(HTMLParser):
    """Collects the facts of a page that the tests check."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def decoded(attributes: dict[str, str | None]) -> np.ndarray:
    """The image of an <img>, BGR."""
    data = base64.b64decode(str(attributes["src"]).partition(",")[2])
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    return pixels


def noisy(seed: int, height: int = 150, width: int = 170) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, 12, (height, width, 3))
    return np.rint((smooth_image(seed, height, width) + noise).clip(0, 255)).astype(np.uint8)


def smooth(image: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(image, (0, 0), 2.0)


def save_metrics(run: Path, steps: int = 400) -> None:
    """The losses of a run of Noise2Blur whose stages change after a tenth of the steps."""
    log = MetricsLog(run)
    for step in range(20, steps + 1, 20):
        is_initial = step <= steps // 10
        losses = {"loss/n2b": 0.02} if is_initial else {"loss/n2b": 0.05, "loss/n2c": 0.1 / step}
        log.add(step, losses | {"validation/psnr_db": 20 + step / 100, "validation/psnr_noisy_db": 20.5})


def save_snapshot(run: Path, step: int, **changes: np.ndarray) -> Path:
    """As the loop writes them."""
    folder = run / "snapshots"
    folder.mkdir(parents=True, exist_ok=True)
    x = noisy(3, 128, 128)
    arrays = {
        "noisy": x,
        "denoised": smooth(x),
        "clean": smooth_image(3, 128, 128),
        "residual": (x.astype(np.float16) - smooth(x)),
        "extracted": (x.astype(np.float16) - smooth(x)) / 2,
    } | changes
    path = folder / f"step-{step:07d}.npz"
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with everything but a checkpoint, and its report."""
    run = tmp_path_factory.mktemp("runs") / "a<b>"
    run.mkdir()
    (run / "config.json").write_text(
        json.dumps({"method": "n2b", "noisy": [f"/photos/{i}.png" for i in range(9)], "nenet_skip": True})
    )
    save_metrics(run)
    for step in range(40, 401, 40):
        save_snapshot(run, step)
    write_report(run, denoise=smooth, noisy_samples={"a/1.png": noisy(1), "a/2.png": noisy(2)})
    return run


@pytest.fixture(scope="module")
def text(run: Path) -> str:
    return (run / "report" / "index.html").read_text()


def test_the_page_needs_nothing_but_itself(text: str) -> None:
    page = Page(text)
    assert not page.of("script") and not page.of("link")
    sources = [attributes["src"] for attributes in page.of("img")]
    sources += [attributes["srcset"] for attributes in page.of("source")]
    assert sources
    assert all(source and source.startswith("data:image/png;base64,") for source in sources)
    assert "http" not in text and "url(" not in text and "@import" not in text


def test_every_image_is_a_png_with_a_text_in_its_place(text: str) -> None:
    images = Page(text).of("img")
    for attributes in images:
        assert decoded(attributes).shape[:2] == (
            int(str(attributes["height"])),
            int(str(attributes["width"])),
        )
    texts = [attributes["alt"] for attributes in images]
    assert all(texts) and len(set(texts)) == len(texts)
    assert any("L_n2c from 0.00167 at step 60 to 0.00025 at step 400" in str(text) for text in texts)


def test_the_crops_are_shown_as_they_are(text: str) -> None:
    shown = [a for a in Page(text).of("img") if str(a["alt"]).endswith("flattest: noisy")]
    (place, *_) = pick_crops(noisy(1))
    assert (decoded(shown[0])[:, :, ::-1] == place.of(noisy(1))).all()


def test_the_page_tells_of_the_run(text: str) -> None:
    assert "a&lt;b&gt;" in text and "a<b>" not in text
    for words in (
        "/photos/4.png … and 4 more",
        "yes",
        "24.00 dB",
        "+3.50 dB against the noisy images",
        "400",
    ):
        assert words in text
    assert text.count("<details") == 2
    assert re.search(r"<th scope=row>median</th><td class=n>\d", text)


def test_the_figures_lie_beside_it(run: Path) -> None:
    files = {file.name for file in (run / "report").iterdir()}
    assert files == {"index.html", "losses.png", "psnr.png", "decay.png", "results.png"}
    results = read_image(run / "report" / "results.png").pixels
    assert results.shape[1] == 4 * 256 + 3 * 8  # the widest row: noisy, denoised, clean, removed; each 2×


def test_a_bare_folder_still_gives_a_page(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    page, verdict = write_report(tmp_path, denoise=smooth, noisy_samples={})
    assert verdict is None
    assert f"Report of the run <span class=name>{tmp_path.name}" in page.read_text()
    assert [file.name for file in page.parent.iterdir()] == ["index.html"]
    assert "config.json" in caplog.text


def test_a_run_stopped_at_its_first_step_says_so(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    MetricsLog(tmp_path).add(1, {"loss/n2b": 0.3})
    save_snapshot(tmp_path, 1)
    page, verdict = write_report(tmp_path, denoise=smooth, noisy_samples={"1.png": noisy(1)})
    assert verdict is not None and "initial stage" in verdict.words
    text = page.read_text()
    assert verdict.words in text
    assert "Losses" in text and "Decay of detail" in text


def test_samples_of_any_size_are_shown(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    tiny, narrow = np.zeros((1, 1, 3), np.uint8), noisy(1, 20, 300)
    samples = {"tiny.png": tiny, "narrow.png": narrow}
    page = write_report(tmp_path, denoise=lambda image: image, noisy_samples=samples).page.read_text()
    assert page.count("<th scope=row>narrow.png") == 1  # the one that is large enough to be judged
    assert page.count("<details") == 2


def test_names_that_are_not_utf8_are_escaped(tmp_path: Path) -> None:
    save_metrics(tmp_path)
    names = ["in/caf\udce9.png", "in/\x1b[31m.png"]  # as os.fsdecode gives them
    samples = {name: noisy(1) for name in names}
    page = write_report(run=tmp_path, denoise=smooth, noisy_samples=samples).page.read_text(encoding="utf-8")
    assert "caf\\udce9.png" in page and "\\x1b[31m.png" in page


def test_damaged_snapshots_are_left_out_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save_snapshot(tmp_path, 20)
    whole = save_snapshot(tmp_path, 40).read_bytes()
    (tmp_path / "snapshots" / "step-0000040.npz").write_bytes(whole[: len(whole) // 2])
    save_snapshot(tmp_path, 60, denoised=noisy(1, 64, 64))
    (tmp_path / "snapshots" / "step-0000080.npz").write_text("nothing")
    assert [snapshot.step for snapshot in read_snapshots(tmp_path)] == [20]
    assert caplog.text.count("omits it") == 3


def test_methods_without_an_extractor_have_no_decay_of_detail(tmp_path: Path) -> None:
    path = save_snapshot(tmp_path, 20)
    x = noisy(3, 128, 128)
    np.savez_compressed(path, noisy=x, denoised=smooth(x))
    rows, _ = decay_rows(read_snapshots(tmp_path))
    assert rows == []


def test_noise_maps_lie_on_grey_and_are_equally_strong_at_all_steps(tmp_path: Path) -> None:
    for step, level in ((20, -40.0), (40, 20.0)):
        residual = np.full((128, 128, 3), level, np.float16)
        save_snapshot(tmp_path, step, residual=residual, extracted=0 * residual)
    (removed_row, extracted_row), scale = decay_rows(read_snapshots(tmp_path))
    assert scale == 4
    first, last = (shown.pixels for shown in removed_row.figures)
    assert (first == 0).all() and (last == 128 + 4 * 20).all()
    assert all((shown.pixels == 128).all() for shown in extracted_row.figures)


def test_what_was_removed_lies_on_grey() -> None:
    x = np.full((32, 32, 3), 100, np.uint8)
    f = x.copy()
    f[:16] += 10
    shown = residual_figure(x, f)
    assert shown.title == "removed ×4"
    assert (shown.pixels[:16] == 88).all() and (shown.pixels[16:] == 128).all()


def test_places_are_what_their_names_say() -> None:
    rng = np.random.default_rng(0)
    image = np.full((384, 512, 3), 120, np.uint8)
    image[:128, :128] = rng.integers(90, 150, (128, 128, 3))
    image[:128, 384:] = 5
    image[256:, :128] = 250
    image = np.clip(image + rng.normal(0, 2, image.shape), 0, 255).astype(np.uint8)
    image[224:, 352:] = 200
    places = {place.title: (place.top, place.left) for place in pick_crops(image)}
    assert places == {
        "flattest": (256, 384),
        "most textured": (0, 0),
        "darkest": (0, 384),
        "brightest": (256, 0),
    }
    assert pick_crops(image) == pick_crops(image)


def test_the_change_of_stages_is_where_the_second_loss_begins() -> None:
    first, second = np.arange(20, 401, 20), np.arange(60, 401, 20)
    curves = {"loss/n2b": Curve(first, first * 0.1), "loss/n2c": Curve(second, second * 0.1)}
    assert stage_change(curves) == 40
    assert stage_change({"loss/n2b": curves["loss/n2b"]}) is None
    assert stage_change(dict.fromkeys(curves, curves["loss/n2b"])) is None
    (losses,) = run_charts(curves)
    assert list(losses.curves) == ["L_n2b", "L_n2c"]
    assert losses.marks == {"convergence stage": 40}


def judged(
    before: float = 20,
    after: float = 2,
    residual_correlation: float = 0.1,
    lost: float | None = 0.05,
    shift: float = 0.1,
) -> NoReferenceQuality:
    return NoReferenceQuality(before, after, residual_correlation, lost, (shift, 0.0, 0.0))


@pytest.mark.parametrize(
    ("quality", "level", "words"),
    [
        (judged(), GOOD, "Noise is gone, detail is kept."),
        (judged(lost=None), GOOD, "Noise is gone."),
        (
            judged(before=0.4, after=0.4, residual_correlation=1, lost=0),
            GOOD,
            "There is almost no noise to remove.",
        ),
        (judged(after=20, residual_correlation=1, lost=0), POOR, "Noise remains."),
        (judged(after=5, residual_correlation=0.9), FAIR, "Some noise remains."),
        (judged(after=15, residual_correlation=0), FAIR, "texture or coarse noise"),
        (judged(after=25, residual_correlation=-0.5), POOR, "rougher"),
        (judged(lost=0.2), FAIR, "Some fine detail is removed."),
        (judged(lost=0.5), POOR, "Detail is being removed."),
        (judged(shift=-2), FAIR, "darker by 2.0"),
        (judged(shift=6), POOR, "brighter by 6.0"),
    ],
)
def test_verdicts(quality: NoReferenceQuality, level: str, words: str) -> None:
    verdict = verdict_on(quality)
    assert verdict.level == level
    assert words in verdict.words
    assert bool(verdict.advice) == (level != GOOD)


def test_the_gravest_fault_decides_the_advice_and_all_are_named() -> None:
    verdict = verdict_on(judged(after=5, residual_correlation=0.9, lost=0.5))
    assert verdict.level == POOR
    assert verdict.words == "Some noise remains. Detail is being removed."
    assert "clean photographs" in verdict.advice
    assert "--patch 128" in verdict_on(judged(after=25, lost=0.7, shift=49)).advice


def test_options_in_advice_are_shown_as_code_and_all_else_is_escaped(tmp_path: Path) -> None:
    (tmp_path / "advice.html").write_text("{{ advice | option_code }}")
    shown = render("advice.html", tmp_path, advice="with --patch 128, <b> & --lr")
    assert shown == "with <code>--patch</code> 128, &lt;b&gt; &amp; <code>--lr</code>"
