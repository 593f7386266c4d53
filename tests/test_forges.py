from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interceptor.forges import audio_visual, background, low_light, resolution
from interceptor.forges.audio_visual import IN_REACH, MARGIN
from interceptor.forges.blend import Forged, ForgeError, Place, blend, pictures
from interceptor.forges.registry import FAMILIES, family
from interceptor.media.clips import FaceClip, Mouth, NativeCrop, Sound
from interceptor.media.crops import CROP_SIZE, TEMPLATE
from test_self_blend import picture

PICTURES = [code for code in FAMILIES if code != "av"]
RATE = 16_000
FRAME = 1 / 25


def clip(seed: int, count: int = 2, *, whole: bool = True) -> FaceClip:
    """A clip with every view, or (`whole` false) as a training set of crops has it."""
    rng = np.random.default_rng(seed)
    crops = np.stack([picture(seed + i) for i in range(count)])
    landmarks = np.stack([TEMPLATE * CROP_SIZE] * count)
    bare = FaceClip(crops, landmarks, np.arange(count) / 2)
    if not whole:
        return bare
    natives = []
    for i in range(count):
        side, angle = rng.uniform(120, 260), rng.uniform(-0.3, 0.3)
        turn = side * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        points = (TEMPLATE - 0.5) @ turn + side * 0.7
        natives.append(NativeCrop(picture(seed + i, round(side * 1.4)), points.astype(np.float32)))
    return replace(
        bare,
        context=np.stack([picture(seed + i, 320) for i in range(count)]),
        native=tuple(natives),
        neighbours=np.stack([np.stack([crop, crop]) for crop in crops]),
    )


def talking(seconds: float = 6.0, seed: int = 0, silence: float = 0.0) -> FaceClip:
    """A clip of noise that swells and fades four times a second; silent for `silence` seconds at both ends."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * RATE)) / RATE
    samples = (0.1 * rng.standard_normal(len(time)) * (1.2 + np.sin(2 * np.pi * 4 * time))).astype(np.float32)
    quiet = round(silence * RATE)
    samples[:quiet] = 0
    samples[len(samples) - quiet :] = 0
    count = round(seconds / FRAME)
    mouth = Mouth(rng.integers(0, 256, (count, 64, 96), np.uint8), 3 + np.arange(count) * FRAME)
    return replace(clip(seed, 1, whole=False), mouth=mouth, sound=Sound(samples, RATE, 3.0))


def level(sound: Sound) -> float:
    return float(10 * np.log10(np.mean(np.square(sound.samples))))


def lag(forged: Forged, one: FaceClip) -> float:
    """Seconds by which the forged sound is off, found in the whole sound by its samples."""
    assert one.sound is not None
    assert forged.fake.sound is not None
    head = forged.fake.sound.samples[:64]
    (place,) = (i for i in np.flatnonzero(one.sound.samples == head[0]) if (one.sound.samples[i:][:64] == head).all())
    return one.sound.start + place / RATE - forged.fake.sound.start


@pytest.mark.parametrize("code", PICTURES)
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000), whole=st.booleans())
def test_outside_the_mask_pairs_are_bit_identical_inside_something_changed(code: str, seed: int, whole: bool) -> None:
    before = clip(seed % 7, whole=whole)
    forged = family(code).forge(before, np.random.default_rng(seed))
    assert forged.mask.dtype == bool
    assert forged.mask.shape == (2, CROP_SIZE, CROP_SIZE)
    for i, mask in enumerate(forged.mask):
        np.testing.assert_array_equal(forged.real.crops[i][~mask], forged.fake.crops[i][~mask])
        assert (forged.real.crops[i] != forged.fake.crops[i]).any()
    for (was, place), (real, _), (fake, _) in zip(*map(pictures, (before, forged.real, forged.fake)), strict=True):
        assert real.dtype == fake.dtype == np.uint8
        assert real.shape == fake.shape == was.shape
        if place.scale >= 1:  # a coarser view need not show a loss of resolution
            assert (real != fake).any()


@pytest.mark.parametrize("code", PICTURES)
def test_no_view_changes_where_the_mask_says_that_the_crop_does_not(code: str) -> None:
    before = clip(1)
    for seed in range(4):
        forged = family(code).forge(before, np.random.default_rng(seed))
        near = [cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), np.uint8)) for mask in forged.mask]
        for (real, place), (fake, _) in zip(pictures(forged.real), pictures(forged.fake), strict=True):
            if code == "tm" and place.step:
                continue  # a drifting blend lies elsewhere in the neighbours
            rows, columns = np.nonzero((real != fake).any(-1))
            points = np.stack([columns + 0.5, rows + 0.5, np.ones(len(rows))])
            x, y = np.floor(np.linalg.inv(place.matrix) @ points)[:2].astype(int)
            in_crop = (x >= 0) & (x < CROP_SIZE) & (y >= 0) & (y < CROP_SIZE)
            assert near[place.crop][y[in_crop], x[in_crop]].all()
            assert in_crop.mean() > 0.8 if len(in_crop) else place.scale < 1


def test_the_blend_is_as_large_in_every_view() -> None:
    before = clip(1)
    for seed in range(3):
        forged = blend(before, np.random.default_rng(seed), lambda pixels, place: 255 - pixels, either_side=False)
        area = forged.mask[0].sum()
        for (real, place), (fake, _) in zip(pictures(forged.real), pictures(forged.fake), strict=True):
            changed = (real != fake).any(-1).sum() / place.scale**2
            assert 0.85 * area < changed < 1.4 * area  # wider views also show what the crop cuts off


@pytest.mark.parametrize("code", PICTURES)
def test_the_same_seed_gives_the_same_forgery(code: str) -> None:
    first, again, other = (family(code).forge(clip(2), np.random.default_rng(seed)) for seed in (4, 4, 5))
    for (one, _), (two, _) in zip(pictures(first.fake), pictures(again.fake), strict=True):
        np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(first.mask, again.mask)
    assert (first.fake.crops != other.fake.crops).any()


@pytest.mark.parametrize("code", ["ll", "bg", "cm", "rr"])
def test_the_change_is_on_either_side_of_the_blend(code: str) -> None:
    """Half of the authentic clips are the ones that changed, so that a change alone is no sign of forgery."""
    before = clip(3, 1, whole=False)
    forged = [family(code).forge(before, np.random.default_rng(seed)) for seed in range(24)]
    changed = sum((pair.real.crops != before.crops).any() for pair in forged)
    assert 4 <= changed <= 20


def test_a_face_without_detail_is_refused_where_detail_is_what_changes() -> None:
    sharp = clip(3, 1, whole=False)
    blurred = replace(sharp, crops=np.stack([cv2.GaussianBlur(crop, (0, 0), 12) for crop in sharp.crops]))
    with pytest.raises(ForgeError, match="no detail"):
        family("rr").forge(blurred, np.random.default_rng(0))
    family("cm").forge(blurred, np.random.default_rng(0))


def test_time_changes_the_face_alone_and_differently_in_each_frame() -> None:
    still = clip(4)
    assert still.neighbours is not None
    for seed in range(12):
        forged = family("tm").forge(still, np.random.default_rng(seed))
        np.testing.assert_array_equal(forged.real.crops, still.crops)
        assert forged.fake.neighbours is not None
        before, after = forged.fake.neighbours[0]
        assert (before != forged.fake.crops[0]).any()
        assert (before != after).any()


def test_a_face_scaled_down_has_lost_its_detail_and_a_sharpened_one_has_more() -> None:
    face = picture(5).astype(np.float32)
    place = Place(0, 0, np.eye(3))
    detail = []
    for seed in range(12):
        changed = resolution.draw(np.random.default_rng(seed), CROP_SIZE)(face, place)
        detail.append(np.abs(np.diff(changed, axis=1)).mean() / np.abs(np.diff(face, axis=1)).mean())
    assert min(detail) < 0.8
    assert max(detail) > 1.1


def test_light_and_colour_are_what_they_say() -> None:
    warm = background.white_balance(0.1, 0.0)
    assert warm[0] > 1 > warm[2]
    assert warm @ [0.299, 0.587, 0.114] == pytest.approx(1)
    gain = background.light((CROP_SIZE, CROP_SIZE), np.eye(3), np.array([0.2, 0.0]))
    assert gain[112, 112] == pytest.approx(1, abs=0.01)
    assert gain[112, 223] == pytest.approx(1.2, abs=0.01)
    assert gain[112, 0] == pytest.approx(0.8, abs=0.01)
    noise = low_light.grain(np.full((200, 200, 3), 128, np.float32), 5.0, 0.5, np.random.default_rng(0))
    assert noise.std() == pytest.approx(5, rel=0.15)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), seconds=st.floats(1.8, 8), silence=st.floats(0, 0.2))
def test_a_shifted_sound_keeps_length_and_level_and_has_no_silent_edge(
    seed: int, seconds: float, silence: float
) -> None:
    before = talking(seconds, seed % 5, silence)
    forged = family("av").forge(before, np.random.default_rng(seed))
    real, fake, mouth = forged.real.sound, forged.fake.sound, forged.real.mouth
    assert real is not None
    assert fake is not None
    assert mouth is not None
    assert before.sound is not None
    assert not forged.mask.any()
    np.testing.assert_array_equal(forged.real.crops, forged.fake.crops)
    assert forged.fake.mouth is mouth
    assert real.samples.shape == fake.samples.shape
    assert fake.samples.dtype == np.float32
    assert (real.start, real.rate) == (fake.start, fake.rate)
    before_window, after_window = mouth.times[0] - real.start, real.start + len(real.samples) / RATE - mouth.times[-1]
    assert -0.5 / RATE <= before_window <= MARGIN + 1 / RATE
    assert 0 <= after_window <= MARGIN + 1.01 * FRAME
    for edge in (real.samples[:320], real.samples[-320:], fake.samples[:320], fake.samples[-320:]):
        assert (edge != 0).mean() > 0.9
    assert abs(lag(forged, before)) >= 0.3 - 1 / RATE
    assert lag(replace(forged, fake=forged.real), before) == pytest.approx(0, abs=1 / RATE)


def test_sounds_are_shifted_either_way_and_start_alike() -> None:
    """Where a window lies in the talk says nothing about whether it is the lips' own."""
    before = talking(6)
    forged = [family("av").forge(before, np.random.default_rng(seed)) for seed in range(300)]
    lags = np.array([lag(pair, before) for pair in forged])
    starts = np.array([pair.real.mouth.times[0] for pair in forged if pair.real.mouth])
    assert 0.4 < (np.abs(lags) <= IN_REACH).mean() < 0.75
    assert 110 < (lags > 0).sum() < 190
    assert np.abs(starts.mean() - (starts + lags).mean()) < 4 * starts.std() / 300**0.5


@pytest.mark.parametrize("seconds", [1.8, 5.0])
def test_a_swapped_sound_is_the_other_one_at_one_level(seconds: float) -> None:
    before, other = talking(5, 0), talking(seconds, 1)
    assert other.sound is not None
    other = replace(other, sound=replace(other.sound, samples=other.sound.samples * np.float32(3)))
    forged = audio_visual.forge(before, np.random.default_rng(0), other)
    real, fake = forged.real.sound, forged.fake.sound
    assert real is not None
    assert fake is not None
    assert level(real) == pytest.approx(level(fake), abs=0.01)
    assert (real.start, len(real.samples)) == (fake.start, len(fake.samples))
    assert np.abs(np.corrcoef(real.samples, fake.samples)[0, 1]) < 0.1


def test_what_cannot_be_forged_is_an_error_that_says_why() -> None:
    rng = np.random.default_rng(0)
    whole = talking(5)
    assert whole.sound is not None
    for broken, why in (
        (replace(whole, sound=None), "no sound"),
        (replace(whole, mouth=None), "no mouth"),
        (talking(1.2), "1.1 s of talk"),
        (replace(whole, sound=replace(whole.sound, samples=np.zeros(5 * RATE, np.float32))), "silent"),
    ):
        with pytest.raises(ForgeError, match=why):
            family("av").forge(broken, rng)
    with pytest.raises(ForgeError, match="8000 samples a second"):
        audio_visual.forge(whole, rng, replace(whole, sound=replace(whole.sound, rate=8000)))
    with pytest.raises(ValueError, match=r"no forge 'xx'; there are ll, bg, av, cm, rr, tm"):
        family("xx")
