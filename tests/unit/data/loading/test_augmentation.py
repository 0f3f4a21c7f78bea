"""Views of a film."""

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from chex_api.pretraining import Augmentation
from chex_jobs.data.loading.augmentation import augment, standard_view

NOTHING = Augmentation(
    crop_min=1.0, rotation_degrees=0.0, translation=0.0, horizontal_flip=0.0, brightness=0.0, contrast=0.0, gamma=0.0,
    blur=0.0, noise=0.0,
)  # fmt: skip
EVERYTHING = Augmentation(horizontal_flip=0.5, blur=0.5, noise=0.05)


def film(height: int, width: int, *, seed: int = 0) -> np.ndarray:
    """A smooth film, read-only as those of a shard are."""
    noise = np.random.default_rng(seed).random((height, width), dtype=np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), max(height, width) / 20)
    result = np.rint(255 * (smooth - smooth.min()) / np.ptp(smooth)).astype(np.uint8)
    result.setflags(write=False)
    return result


def changed(**fields: float) -> Augmentation:
    return NOTHING.model_copy(update=fields)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (614, 512), (400, 512), (70, 33), (40, 40)])
def test_a_view_has_the_size_asked_for(height: int, width: int) -> None:
    view = augment(film(height, width), 64, EVERYTHING, (0, 0, 0, 0))
    assert (view.shape, view.dtype) == ((64, 64), np.uint8)


def test_equal_keys_give_bit_equal_views_in_any_thread() -> None:
    source = film(300, 256)
    keys = [(1, epoch, ordinal, view) for epoch in range(3) for ordinal in range(8) for view in range(2)]
    alone = [augment(source, 48, EVERYTHING, key) for key in keys]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda key: augment(source, 48, EVERYTHING, key), reversed(keys)))
    assert all(np.array_equal(a, b) for a, b in zip(alone, reversed(together), strict=True))


@pytest.mark.parametrize("part", range(4), ids=["seed", "epoch", "ordinal", "view"])
def test_every_part_of_the_key_changes_the_view(part: int) -> None:
    key, other = [3, 3, 3, 3], [3, 3, 3, 3]
    other[part] += 1
    one, another = (augment(film(64, 64), 64, Augmentation(), (k[0], k[1], k[2], k[3])) for k in (key, other))
    assert not np.array_equal(one, another)


@pytest.mark.parametrize(
    ("height", "width", "size"), [(512, 512, 64), (614, 512, 224), (512, 400, 320), (64, 64, 64)]
)
def test_without_any_change_a_view_is_the_standard_view(height: int, width: int, size: int) -> None:
    source = film(height, width)
    view, standard = augment(source, size, NOTHING, (0, 0, 0, 0)), standard_view(source, size)
    # The letterbox lies on whole pixels, the warp does not: within one pixel of each other. The film's own edge is left
    # out, where the warp blends with black.
    film_mask = np.pad(standard_view(np.full_like(source, 255), size), 2)
    inside = cv2.erode(film_mask, np.ones((5, 5)))[2:-2, 2:-2] == 255
    low, high = (change(standard, np.ones((3, 3))).astype(int) for change in (cv2.erode, cv2.dilate))
    assert ((view >= low - 4) & (view <= high + 4))[inside].all()


@pytest.mark.parametrize("size", [48, 64, 100, 224])
def test_reducing_a_film_of_fine_stripes_gives_grey_and_no_moire(size: int) -> None:
    stripes = np.tile(np.array([0, 255], dtype=np.uint8), (512, 256))
    middle = slice(size // 4, -size // 4)
    for ordinal in range(4):
        spec = changed(crop_min=0.8, rotation_degrees=10.0)
        view = augment(stripes, size, spec, (0, 0, ordinal, 0))[middle, middle].astype(float)
        assert view.std() < 12, "a bilinear warp alone has 80 and more"
        assert abs(view.mean() - 127.5) < 4


def test_a_mirrored_view_is_the_mirror_image() -> None:
    source = film(64, 64)
    assert np.array_equal(augment(source, 64, changed(horizontal_flip=1.0), (0, 0, 0, 0)), source[:, ::-1])
    assert np.array_equal(augment(source, 64, changed(horizontal_flip=0.0), (0, 0, 0, 0)), source)


def test_views_are_not_mirrored_by_default() -> None:
    source = np.zeros((64, 64), dtype=np.uint8)
    source[8:56, 36:56] = 200
    views = [augment(source, 64, Augmentation(), (0, epoch, 0, 0)) for epoch in range(50)]
    assert all(int(view[:, 32:].sum(dtype=int)) > int(view[:, :32].sum(dtype=int)) for view in views)


def test_a_shift_moves_the_film_by_no_more_than_its_share() -> None:
    source = np.zeros((64, 64), dtype=np.uint8)
    source[28:36, 28:36] = 255
    rows, columns = np.mgrid[0:64, 0:64]
    offsets = []
    for epoch in range(60):
        view = augment(source, 64, changed(translation=0.1), (0, epoch, 0, 0)).astype(float)
        offsets.append([(view * rows).sum() / view.sum() - 31.5, (view * columns).sum() / view.sum() - 31.5])
    assert 5.0 < np.abs(offsets).max() <= 6.5
    assert np.abs(np.mean(offsets, axis=0)).max() < 1.5


def test_a_turn_stays_within_its_angle() -> None:
    source = np.zeros((128, 128), dtype=np.uint8)
    source[:, 62:66] = 255
    angles = []
    for epoch in range(40):
        view = augment(source, 128, changed(rotation_degrees=10.0), (0, epoch, 0, 0)).astype(float)
        top, bottom = (view[y] @ np.arange(128) / view[y].sum() for y in (34, 94))
        angles.append(np.degrees(np.arctan2(bottom - top, 60)))
    assert 7.0 < np.abs(angles).max() <= 10.3
    assert min(angles) < 0 < max(angles)


def test_what_lies_outside_the_film_stays_black_under_grey_changes() -> None:
    source = film(64, 32)
    for epoch in range(20):
        view = augment(source, 64, changed(brightness=0.5, contrast=0.5, gamma=0.5), (0, epoch, 0, 0))
        assert view[:, :15].max() == 0
        assert view[:, 17:47].max() > 0


def test_a_film_is_left_as_it_was() -> None:
    source = film(64, 64).copy()
    before = source.copy()
    augment(source, 64, EVERYTHING, (0, 0, 0, 0))
    assert np.array_equal(source, before)


@pytest.mark.parametrize(
    ("height", "width", "box"), [(512, 256, (0, 64, 16, 48)), (256, 512, (16, 48, 0, 64))]
)
def test_the_standard_view_keeps_the_aspect_and_centres_the_film(
    height: int, width: int, box: tuple[int, int, int, int]
) -> None:
    view = standard_view(np.full((height, width), 200, dtype=np.uint8), 64)
    top, bottom, left, right = box
    assert (view[top:bottom, left:right] == 200).all()
    assert view.sum(dtype=int) == 200 * (bottom - top) * (right - left)


def test_the_standard_view_is_the_mean_of_what_each_pixel_covers() -> None:
    source = film(512, 512)
    means = source.reshape(64, 8, 64, 8).mean(axis=(1, 3))
    assert np.abs(standard_view(source, 64) - means).max() < 2


def test_a_film_of_one_row_becomes_a_view() -> None:
    assert standard_view(np.full((1, 500), 9, dtype=np.uint8), 64).shape == (64, 64)
    assert augment(np.full((1, 500), 9, dtype=np.uint8), 64, EVERYTHING, (0, 0, 0, 0)).shape == (64, 64)
