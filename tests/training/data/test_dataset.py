from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from n2b.runtime.errors import ImageError, UserError
from n2b.runtime.images.image import Image, write_image
from n2b.runtime.samples import sample_photographs
from n2b.training.config import TrainConfig
from n2b.training.data import sources
from n2b.training.data.dataset import Dataset, load_dataset
from n2b.training.data.image_pool import ImagePool
from n2b.training.data.sources import Source, photographs, read_images, split_in_halves
from n2b.training.labels.filters import parse_filter
from n2b.training.noise import parse_noise

from ...runtime.fakes.cameras import GOOD, FakeCameras
from ..conftest import save_images, save_video, smooth_image


def load(run: Path, *noisy: Path | str, **fields: Any) -> Dataset:
    config = TrainConfig(noisy=tuple(map(str, noisy)), steps=1, **{"patch_px": 32, **fields})
    return load_dataset(config, run, "cpu")


def all_of(pool: ImagePool) -> list[np.ndarray]:
    return [pool.image(index) for index in range(len(pool))]


def set_of(images: list[np.ndarray]) -> set[bytes]:
    return {np.ascontiguousarray(image).tobytes() for image in images}


@pytest.mark.parametrize("method", ["n2b", "n2b-v"])
def test_the_target_of_noise2blur_is_the_label(method: str, image_folder: Path, tmp_path: Path) -> None:
    dataset = load(tmp_path / "run", image_folder, noise="gaussian:25", filter="mean:3", method=method)
    assert (len(dataset.noisy), len(dataset.clean)) == (3, 3)
    for pair in all_of(dataset.noisy):
        x = np.ascontiguousarray(pair[..., :3])
        assert (pair[..., 3:] == parse_filter("mean:3")(x)).all()
    assert len(list((tmp_path / "labels").iterdir())) == 3


def test_labels_are_made_in_the_domain_of_the_network(image_folder: Path, tmp_path: Path) -> None:
    dataset = load(tmp_path / "run", image_folder, noise="speckle:0.1", filter="mean:5")
    pair = dataset.noisy.image(0)
    x = np.ascontiguousarray(pair[..., :3])
    assert (pair[..., 3:] == parse_filter("mean:5", "log")(x)).all()
    assert (pair[..., 3:] != parse_filter("mean:5")(x)).any()


def test_the_target_of_supervised_training_is_the_original(image_folder: Path, tmp_path: Path) -> None:
    dataset = load(tmp_path / "run", image_folder, noise="gaussian:25", method="supervised")
    originals = set_of([smooth_image(seed) for seed in range(6)])
    for pair in all_of(dataset.noisy):
        assert np.ascontiguousarray(pair[..., 3:]).tobytes() in originals
        assert 15 < (pair[..., :3].astype(float) - pair[..., 3:]).std() < 25


def test_the_target_of_noise2noise_is_a_second_noisy_copy(image_folder: Path, tmp_path: Path) -> None:
    dataset = load(tmp_path / "run", image_folder, noise="gaussian:20", method="n2n")
    supervised = load(tmp_path / "run", image_folder, noise="gaussian:20", method="supervised")
    for pair, with_clean in zip(all_of(dataset.noisy), all_of(supervised.noisy), strict=True):
        first, second = (pair[..., c].astype(float) - with_clean[..., 3:] for c in (slice(3), slice(3, 6)))
        assert (pair[..., :3] == with_clean[..., :3]).all()
        assert 15 < second.std() < 22
        assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.05


@pytest.mark.parametrize("noise", ["gaussian:25", None])
def test_noise2void_has_no_target(noise: str | None, image_folder: Path, tmp_path: Path) -> None:
    dataset = load(tmp_path / "run", image_folder, noise=noise, method="n2v")
    assert dataset.noisy.channels == 3
    assert not (tmp_path / "labels").exists()


def test_the_seed_decides_split_and_noise(image_folder: Path, tmp_path: Path) -> None:
    first, again, other = (
        set_of(all_of(load(tmp_path / "run", image_folder, noise="gaussian:25", seed=seed).noisy))
        for seed in (1, 1, 2)
    )
    assert first == again
    assert not first & other


def test_without_clean_images_the_noisy_ones_are_split_without_overlap(
    image_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dataset = load(tmp_path / "run", image_folder, noise="gaussian:0")
    noisy = set_of([image[..., :3] for image in all_of(dataset.noisy)])
    clean = set_of(all_of(dataset.clean))
    assert len(noisy) == len(clean) == 3
    assert not noisy & clean
    assert "noisy set" not in caplog.text


def test_one_image_with_synthetic_noise_needs_clean_ones(tmp_path: Path) -> None:
    one = save_images(tmp_path / "one", 1) / "0.png"
    with pytest.raises(UserError, match="--clean"):
        load(tmp_path / "run", one, noise="gaussian:25")
    clean = save_images(tmp_path / "clean", 2, first_seed=5)
    dataset = load(tmp_path / "run", one, noise="gaussian:25", clean=(str(clean),))
    assert (len(dataset.noisy), len(dataset.clean)) == (1, 2)
    with pytest.raises(UserError, match="--clean"):
        split_in_halves([one], seed=0)


@pytest.mark.parametrize("names_clean", [True, False])
def test_one_image_with_real_noise_is_enough(names_clean: bool, tmp_path: Path) -> None:
    one = save_images(tmp_path / "one", 1) / "0.png"
    clean = (str(save_images(tmp_path / "clean", 2, first_seed=5)),) if names_clean else ()
    dataset = load(tmp_path / "run", one, clean=clean)
    assert (dataset.noisy.image(0)[..., :3] == smooth_image(0)).all()
    assert len(dataset.clean) == (2 if names_clean else len(sample_photographs()))
    assert dataset.noise is None
    assert dataset.validation == []


def test_a_photograph_in_both_sets_is_reported(
    image_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    copies = tmp_path / "copies"
    copies.mkdir()
    write_image(copies / "twin.bmp", Image(smooth_image(2)))
    write_image(copies / "other.bmp", Image(smooth_image(70)))
    same = image_folder / "4.png"
    load(tmp_path / "run", image_folder, noise="gaussian:25", clean=(str(copies), str(same)))
    warnings = [message for message in caplog.messages if "noisy set" in message]
    assert len(warnings) == 1
    assert "2 of the clean photographs" in warnings[0]
    assert "twin.bmp" in warnings[0]
    assert "2.png" in warnings[0]
    caplog.clear()
    load(tmp_path / "run", image_folder, clean=(str(same),))
    assert "1 of the clean photographs are in the noisy set too" in caplog.text
    assert "teach the network to keep it" in caplog.text


def test_validation_takes_the_photographs_named_else_clean_ones(image_folder: Path, tmp_path: Path) -> None:
    dataset = load(tmp_path / "run", image_folder, noise="gaussian:25")
    assert set_of(dataset.validation) == set_of(all_of(dataset.clean))
    named = save_images(tmp_path / "named", 2, first_seed=30)
    write_image(named / "small.png", Image(smooth_image(40, 20, 20)))  # not cropped
    dataset = load(tmp_path / "run", image_folder, noise="gaussian:25", validation=(str(named),))
    assert set_of(dataset.validation) == set_of(
        [smooth_image(30), smooth_image(31), smooth_image(40, 20, 20)]
    )


def test_noisy_samples_are_the_middle_of_at_most_eight_noisy_images(tmp_path: Path) -> None:
    folder = tmp_path / "large"
    for index in range(11):
        write_image_of(folder / f"{index}.png", 40, 700 if index == 0 else 50, index)
    clean = save_images(tmp_path / "clean", 1)
    samples = load(tmp_path / "run", folder, clean=(str(clean),), method="n2v").noisy_samples
    assert len(samples) == 8
    assert samples[0].pixels.shape == (40, 512, 3)
    assert (samples[0].name, samples[0].image) == (str(folder / "0.png"), 0)
    assert (samples[0].pixels == smooth_image(0, 40, 700)[:, 94:606]).all()
    assert (samples[-1].pixels == smooth_image(10, 40, 50)).all()


def write_image_of(path: Path, height: int, width: int, seed: int) -> None:
    path.parent.mkdir(exist_ok=True)
    write_image(path, Image(smooth_image(seed, height, width)))


def test_images_that_exceed_the_memory_train_as_those_that_do_not(
    image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = load(tmp_path / "run", image_folder, noise="gaussian:25")
    assert not held.noisy.is_on_disk
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "1000000")  # the processes that share the memory
    spilled = load(tmp_path / "run", image_folder, noise="gaussian:25")
    assert spilled.noisy.is_on_disk
    assert spilled.clean.is_on_disk
    assert set_of(all_of(spilled.noisy)) == set_of(all_of(held.noisy))
    assert not any((tmp_path / "run").iterdir())


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return save_video(tmp_path / "video.avi", 5, green_step=40)


def test_frames_of_a_video_and_images_go_together(video: Path, image_folder: Path, tmp_path: Path) -> None:
    noisy = load(tmp_path / "run", video, image_folder).noisy
    assert sorted(image.shape for image in all_of(noisy)) == [(48, 64, 6)] * 5 + [(96, 80, 6)] * 6


def test_a_camera_is_recorded_into_the_run_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, image_folder: Path
) -> None:
    cameras = FakeCameras([GOOD] * 10_000)
    cameras.size_hw = [(40, 48)]
    monkeypatch.setattr("cv2.VideoCapture", cameras)
    for _ in range(2):
        dataset = load(tmp_path / "run", "camera:0", image_folder, record_s=0.6)
        assert len(dataset.noisy) == 8
        assert (tmp_path / "run" / "frames" / "0-00001.png").exists()
        assert [target for target, *_ in cameras.opened] == [0]


def test_half_of_the_crops_of_the_dnd_benchmark_are_trained_on(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    folder = tmp_path / "dnd"
    (folder / "images_srgb").mkdir(parents=True)
    with h5py.File(folder / "info.mat", "w") as file:
        references = file.create_dataset("info/boundingboxes", (1, 2), h5py.ref_dtype)
        boxes = np.array([[1, 1, 40, 40], [11, 1, 50, 40], [1, 11, 40, 50]], np.float64)
        for image in range(2):
            references[0, image] = file.create_dataset(f"#refs#/{image}", data=boxes.T).ref
    for image in (1, 2):
        with h5py.File(folder / "images_srgb" / f"000{image}.mat", "w") as file:
            file["InoisySRGB"] = (smooth_image(image, 60, 60) / np.float32(255)).T
    dataset = load(tmp_path / "run", f"dnd:{folder}")
    wholes = [smooth_image(image, 60, 60).astype(np.uint16) * 257 for image in (1, 2)]  # floats keep 16 bits
    crops = [w[t : t + 40, le : le + 40] for w in wholes for t, le in ((0, 0), (10, 0), (0, 10))]
    trained = set_of([image[..., :3] for image in all_of(dataset.noisy)])
    assert len(trained) == 3
    assert trained < set_of(crops)


@pytest.mark.parametrize("name", ["video.mp4", "camera:0", "rtsp://host/1", "dnd:folder"])
def test_synthetic_noise_is_not_added_to_what_is_noisy(
    name: str, image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("video.mp4").touch()
    with pytest.raises(UserError, match="leave out --noise") as caught:
        load(tmp_path / "run", image_folder, name, noise="gaussian:25")
    assert name in str(caught.value)


def test_no_images_are_an_error_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for fields in ({"noise": "gaussian:25"}, {}):
        with pytest.raises(UserError, match="no images found"):
            load(tmp_path / "run", tmp_path / "empty", **fields)


def test_grey_alpha_and_16_bit_images_become_rgb8(tmp_path: Path) -> None:
    grey16 = np.linspace(0, 65535, 40 * 40, dtype=np.uint16).reshape(40, 40, 1)
    write_image(tmp_path / "grey16.png", Image(grey16))
    write_image(tmp_path / "alpha.png", Image(smooth_image(0), alpha=np.full((96, 80), 7, np.uint8)))
    paths = [tmp_path / "alpha.png", tmp_path / "grey16.png"]
    (_, alpha), (name, grey) = read_images(photographs(paths), 32)
    assert name == str(paths[1])
    assert (alpha == smooth_image(0)).all()
    assert grey.shape == (40, 40, 3)
    assert (grey == np.rint(grey16 / 257)).all()
    noisy = load(tmp_path / "run", *paths).noisy
    assert [noisy.image(index).shape for index in range(2)] == [(96, 80, 6), (40, 40, 6)]


def test_bad_and_small_images_are_named_skipped_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "bad.png").write_bytes(b"no image")
    write_image(tmp_path / "small.png", Image(smooth_image(0, 20, 20)))
    write_image(tmp_path / "good.png", Image(smooth_image(0)))
    bad, small, good = photographs([tmp_path / name for name in ("bad.png", "small.png", "good.png")])
    assert len(list(read_images([bad, small, good], 32))) == 1
    warnings = caplog.text
    assert "bad.png" in warnings
    assert "1 of 3" in warnings
    with pytest.raises(UserError, match="1 unreadable, 1 smaller"):
        list(read_images([bad, small], 32))


def test_what_a_video_gave_before_it_broke_is_used(caplog: pytest.LogCaptureFixture) -> None:
    def frames():
        yield "frame 0", smooth_image(0)
        raise ImageError("video.mp4 is damaged")

    assert [name for name, _ in read_images([Source(5, frames)], 32)] == ["frame 0"]
    assert "video.mp4" in caplog.text


def test_noise_is_added_to_each_image_by_its_place_in_the_set(image_folder: Path, tmp_path: Path) -> None:
    clean = save_images(tmp_path / "clean", 1, first_seed=9)
    fields = {"noise": "gaussian:25", "clean": (str(clean),), "method": "n2v", "seed": 4}
    noisy = load(tmp_path / "run", image_folder, **fields).noisy
    for index in range(6):
        expected = parse_noise("gaussian:25")(smooth_image(index), np.random.default_rng([4, 1, index]))
        assert (noisy.image(index) == expected).all()


def save_dark(folder: Path, pattern: np.ndarray) -> Path:
    for number in range(8):
        write_image(folder / f"{number}.png", Image((10 + pattern).astype(np.uint8)))
    return folder


def test_dark_frames_are_subtracted_from_the_noisy_images_alone(tmp_path: Path) -> None:
    pattern = np.zeros((96, 80, 3), int)
    pattern[::5] = 9
    noisy = tmp_path / "noisy"
    for seed in range(2):
        write_image(noisy / f"{seed}.png", Image((smooth_image(seed) + pattern).astype(np.uint8)))
    clean = save_images(tmp_path / "clean", 2, first_seed=7)
    dark = save_dark(tmp_path / "dark", pattern)
    dataset = load(tmp_path / "run", noisy, clean=(str(clean),), dark=(str(dark),), method="n2v")
    assert set_of(all_of(dataset.noisy)) == set_of([smooth_image(seed) for seed in range(2)])
    assert set_of(all_of(dataset.clean)) == set_of([smooth_image(seed) for seed in (7, 8)])


def test_dark_frames_are_subtracted_from_videos_and_recorded_cameras(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pattern = np.zeros((48, 64, 3), int)
    pattern[:, ::4] = 9
    video = save_video(tmp_path / "v.avi", 3, 20)
    recorded = tmp_path / "recorded.png"
    write_image(recorded, Image((pattern + 50).astype(np.uint8)))
    monkeypatch.setattr(sources, "record_cameras", lambda *_: [recorded])
    without = load(tmp_path / "run", video, method="n2v")
    config = TrainConfig(
        noisy=(str(video), "camera:0"), steps=1, dark=(str(save_dark(tmp_path / "dark", pattern)),)
    )
    *frames, camera = read_images(sources.noisy_sources(config, tmp_path / "run"), 32)
    assert (camera[1] == 50).all()
    for (_, frame), before in zip(frames, all_of(without.noisy), strict=True):
        assert (frame == np.clip(before.astype(int) - pattern, 0, 255)).all()


def test_noisy_images_that_dark_frames_do_not_fit_are_skipped(
    image_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dark = save_dark(tmp_path / "dark", np.eye(9, dtype=int)[..., None])
    with pytest.raises(UserError, match="none of 6 images can be used"):
        load(tmp_path / "run", image_folder, dark=(str(dark),), method="n2v")
    assert "0.png has 80×96 px and the dark frames have 9×9 px" in caplog.text


def test_dark_frames_are_for_a_cameras_own_noise(image_folder: Path) -> None:
    with pytest.raises(UserError, match="leave out --noise"):
        TrainConfig(noisy=(str(image_folder),), dark=(str(image_folder),), noise="gaussian:25", steps=1)
