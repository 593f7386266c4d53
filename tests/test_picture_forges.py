"""What every picture forge promises: nothing changes outside of its mask, something does inside, half are small."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interceptor.forges.pictures import KINDS, ForgeError, draw_recompression, forge
from interceptor.forges.pictures.copy_move import _group
from interceptor.forges.pictures.paste import cut, laid, turned
from interceptor.forges.pictures.picture import visibly_changed
from interceptor.forges.pictures.regions import LARGEST, SMALL, SMALLEST, draw_share, organic, region

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


def scene(seed: int, height: int = 120, width: int = 160) -> tuple[np.ndarray, np.ndarray]:
    """Discs of many colours on a rough ground, and their labels."""
    rng = np.random.default_rng(seed)
    ground = cv2.resize(rng.uniform(60, 200, (6, 8, 3)), (width, height)) + rng.normal(0, 6, (height, width, 3))
    picture, labels = np.clip(ground, 0, 255).astype(np.uint8), np.zeros((height, width), np.int32)
    for number in range(1, 13):
        where = (int(rng.integers(8, width - 8)), int(rng.integers(8, height - 8)))
        cv2.circle(picture, where, radius := int(rng.integers(3, 9)), rng.integers(0, 256, 3).tolist(), -1)
        cv2.circle(labels, where, radius, number, -1)
    return picture, labels


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), kind=st.sampled_from(KINDS), shaped=st.booleans())
def test_outside_of_the_mask_nothing_changes_and_inside_something_does(seed: int, kind: str, shaped: bool) -> None:
    (picture, labels), (donor, donor_labels) = scene(seed), scene(seed + 1, 90, 100)
    before, rng = picture.copy(), np.random.default_rng(seed)
    shapes = {"objects": labels, "donor_objects": donor_labels} if shaped else {}
    forged = forge(picture, rng, donor=donor, kind=kind, **shapes)
    np.testing.assert_array_equal(picture, before)
    assert forged.kind == kind
    assert forged.image.shape == picture.shape
    assert forged.image.dtype == np.uint8
    assert forged.instances.dtype == np.bool_
    assert forged.instances.any(axis=(1, 2)).all()
    np.testing.assert_array_equal(forged.image[~forged.mask], picture[~forged.mask])
    # A copy-move's mask holds the sources, too, which do not change.
    assert (forged.image != picture).any(axis=2)[forged.mask].mean() > (0.02 if kind == "copy_move" else 0.1)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_forgery(kind: str) -> None:
    picture, labels = scene(1)
    one, two = (
        forge(picture, np.random.default_rng(5), donor=scene(2)[0], objects=labels, kind=kind) for _ in range(2)
    )
    np.testing.assert_array_equal(one.image, two.image)
    np.testing.assert_array_equal(one.instances, two.instances)


@pytest.mark.parametrize("seed", range(8))
def test_an_instance_of_a_copy_move_holds_source_and_copies(seed: int) -> None:
    picture, _ = scene(seed)
    forged = forge(picture, np.random.default_rng(seed), kind="copy_move")
    assert (forged.instances.sum(axis=0) <= 1).all()  # groups lie apart
    changed = (forged.image != picture).any(axis=2)
    for plane in forged.instances:
        count, parts = cv2.connectedComponents(plane.astype(np.uint8), connectivity=8)
        touched = [changed[parts == part].mean() for part in range(1, count)]
        assert 2 <= count - 1 <= 4
        assert touched.count(0) == 1  # the source; each copy changed


@pytest.mark.parametrize("kind", KINDS)
def test_a_grey_picture_stays_grey(kind: str) -> None:
    grey = np.repeat(scene(3)[0][..., :1], 3, axis=2)
    for seed in range(6):
        forged = forge(grey, np.random.default_rng(seed), donor=scene(4)[0], kind=kind)
        assert (forged.image == forged.image[..., :1]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_half_of_the_forgeries_are_small(kind: str) -> None:
    scenes = [scene(seed) for seed in range(4)]
    areas = [
        forge(scenes[i % 4][0], np.random.default_rng(i), donor=scenes[(i + 1) % 4][0], kind=kind).mask.mean()
        for i in range(80)
    ]
    assert 0.35 < np.mean(np.array(areas) < SMALL) < 0.65  # 80 draws: a standard deviation is 0.056
    assert max(areas) < 1.5 * LARGEST
    assert min(areas) < SMALL / 2


def test_shares_are_drawn_as_stated() -> None:
    rng = np.random.default_rng(0)
    shares = np.array([draw_share(rng) for _ in range(4000)])
    assert abs((shares < SMALL).mean() - 0.5) < 0.03
    assert SMALLEST <= shares.min() < shares.max() <= LARGEST


@given(seed=st.integers(0, 10_000), area=st.floats(64, 4000))
def test_organic_shapes_have_their_area(seed: int, area: float) -> None:
    shape = organic(area, (200, 200), np.random.default_rng(seed))
    assert shape.any(axis=0).all()  # within its own bounding box
    assert shape.any(axis=1).all()
    assert max(shape.shape) <= 122
    if max(shape.shape) < 119:  # not shrunk to fit
        assert area / 1.3 - 30 < shape.sum() < area * 1.3 + 60


@pytest.mark.parametrize("seed", range(6))
def test_object_shapes_are_whole_objects(seed: int) -> None:
    _, labels = scene(seed)
    mask = region(labels.shape, 600, np.random.default_rng(seed), labels)
    for number in np.unique(labels[mask]):
        assert number != 0
        assert mask[labels == number].all()
    assert region((50, 50), 100, np.random.default_rng(0), np.zeros((50, 50), int)).any()  # none there: organic


@pytest.mark.parametrize("seed", range(20))
def test_a_piece_lands_where_it_is_laid(seed: int) -> None:
    """Whatever the edge: what is laid onto its own place, exactly as it was, leaves the picture as it is."""
    picture, _ = scene(seed)
    mask = np.zeros(picture.shape[:2], bool)
    mask[30:61, 40:80] = True
    piece = cut(picture, mask)
    box = np.s_[4:-4, 4:-4]
    tight = type(piece)(piece.pixels[box], piece.mask[box])
    image, covered = laid(picture, tight, 30, 40, np.random.default_rng(seed))
    np.testing.assert_array_equal(covered, mask)
    assert np.abs(image.astype(int) - picture).max() <= 3  # Poisson solves to within rounding


def test_turning_keeps_a_piece_together() -> None:
    picture, _ = scene(0)
    mask = np.zeros(picture.shape[:2], bool)
    mask[30:60, 40:80] = True
    for seed in range(20):
        piece = turned(cut(picture, mask), np.random.default_rng(seed))
        assert piece.pixels.shape[:2] == piece.mask.shape
        assert piece.mask[:, 0].any()
        assert 0.4 < piece.mask.sum() / mask.sum() < 2.1


def test_what_cannot_be_forged_says_so() -> None:
    rng, plain = np.random.default_rng(0), np.full((64, 64, 3), 200, np.uint8)
    with pytest.raises(ForgeError, match="too small"):
        forge(plain[:20], rng)
    with pytest.raises(ForgeError, match="could be copied"):
        _group(plain, np.ones((64, 64), bool), 1, 100, rng, None)
    with pytest.raises(ValueError, match="donor"):
        forge(plain, rng, kind="splice")
    with pytest.raises(ValueError, match="is none of"):
        forge(plain, rng, kind="crop")
    with pytest.raises(ValueError, match="uint8"):
        forge(plain[..., 0], rng)
    with pytest.raises(ValueError, match="labels"):
        forge(plain, rng, objects=np.zeros((5, 5), int))


@pytest.mark.parametrize("seed", range(6))
def test_recompression_is_one_draw_for_both(seed: int) -> None:
    picture, _ = scene(seed, 61, 47)
    step = draw_recompression(np.random.default_rng(seed))
    np.testing.assert_array_equal(step(picture), step(picture.copy()))
    assert step(picture).shape == picture.shape
    assert np.abs(step(picture).astype(int) - picture).mean() < 25


def test_a_change_must_show() -> None:
    picture, _ = scene(0)
    mask = np.ones(picture.shape[:2], bool)
    assert not visibly_changed(picture, picture, mask)
    assert visibly_changed(picture, 255 - picture, mask)
