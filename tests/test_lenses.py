from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest

from interceptor.lenses import LENSES, Abstain
from interceptor.lenses.audio_visual import CHANNELS, LAGS, SPAN, STEP
from interceptor.lenses.speech import HEARD, LEAD, lip_signals, mouth_motion, sound_signals
from interceptor.media.clips import FaceClip, Mouth, NativeCrop, Sound
from interceptor.media.crops import CONTEXT_SIZE, CROP_SIZE, TEMPLATE
from interceptor.media.sound import RATE

PATCH = np.s_[64:128, 80:144]


def textured(size: int, seed: int = 0, grain: float = 6.0) -> np.ndarray:
    """uint8[size, size, 3]: soft blobs with grain."""
    rng = np.random.default_rng(seed)
    soft = cv2.resize(rng.uniform(60, 190, (7, 7, 3)).astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC)
    return np.clip(soft + rng.normal(0, grain, (size, size, 1)), 0, 255).astype(np.uint8)


def syllables(times: np.ndarray, shift: float = 0.0) -> np.ndarray:
    """How wide a mouth is open, 0..1: bursts at uneven times."""
    starts = np.array([0.35, 0.8, 1.05, 1.6, 1.85, 2.35])[:, None] + shift
    return np.exp(-0.5 * ((times[None] - starts - 0.06) / 0.04) ** 2).sum(0).clip(0, 1)


def talking(shift: float = 0.0, seconds: float = 2.6, fps: int = 25) -> tuple[Mouth, Sound]:
    """A mouth that opens with each syllable, and a sound that is `shift` seconds late."""
    times = np.arange(round(seconds * fps)) / fps
    rows = np.abs(np.arange(64) - 32)[None, :, None]
    frames = np.where(rows < 2 + 14 * syllables(times)[:, None, None], 40, 160) * np.ones((1, 1, 96))
    moments = np.arange(round((seconds + 1.0) * RATE)) / RATE - 0.5
    tone = np.sin(2 * np.pi * 1200 * moments) + 0.02 * np.random.default_rng(0).normal(size=len(moments))
    samples = (0.3 * tone * (0.02 + syllables(moments, shift))).astype(np.float32)
    return Mouth(frames.astype(np.uint8), times), Sound(samples, RATE, -0.5)


def face_clip(n: int = 2) -> FaceClip:
    crops = np.stack([textured(CROP_SIZE, seed) for seed in range(n)])
    mouth, sound = talking()
    landmarks = np.repeat(TEMPLATE[None] * CROP_SIZE, n, 0)
    return FaceClip(
        crops=crops,
        landmarks=landmarks,
        times=np.linspace(0.6, 2.0, n),
        context=np.stack([textured(CONTEXT_SIZE, seed) for seed in range(n)]),
        native=tuple(NativeCrop(textured(240 + 8 * i, i), landmarks[0]) for i in range(n)),
        neighbours=np.stack([np.roll(crops, -1, 2), np.roll(crops, 1, 2)], 1),
        mouth=mouth,
        sound=sound,
    )


def with_crop(crop: np.ndarray, **changes: object) -> FaceClip:
    return replace(face_clip(1), crops=crop[None], **changes)  # type: ignore[arg-type]


def with_native(pixels: np.ndarray) -> FaceClip:
    return replace(face_clip(1), native=(NativeCrop(pixels, TEMPLATE * CROP_SIZE),))


@pytest.mark.parametrize("code", LENSES)
def test_every_lens_gives_the_same_bounded_pictures_twice(code: str) -> None:
    clip = face_clip(3)
    seen = LENSES[code].look(clip)
    assert seen.shape == (3, 3, CROP_SIZE, CROP_SIZE)
    assert seen.dtype == np.float32
    assert -1 <= seen.min() < seen.max() <= 1
    assert seen.std((0, 2, 3)).min() > 0.02
    assert np.array_equal(seen, LENSES[code].look(face_clip(3)))
    assert len(LENSES[code].channels) == 3


@pytest.mark.parametrize("code", [code for code in LENSES if code != "av"])
def test_crops_do_not_see_each_other(code: str) -> None:
    clip = face_clip(2)
    assert clip.native is not None
    assert clip.context is not None
    assert clip.neighbours is not None
    second = replace(
        clip,
        crops=clip.crops[1:],
        times=clip.times[1:],
        context=clip.context[1:],
        native=clip.native[1:],
        neighbours=clip.neighbours[1:],
    )
    assert np.array_equal(LENSES[code].look(clip)[1:], LENSES[code].look(second))


@pytest.mark.parametrize(
    ("code", "change", "reason"),
    [
        ("bg", lambda clip: replace(clip, context=None), "too little around"),
        ("cm", lambda clip: replace(clip, native=None), "original frame"),
        ("rr", lambda clip: replace(clip, native=None), "original frame"),
        ("cm", lambda clip: replace(clip, native=(NativeCrop(np.zeros((4, 90, 3), np.uint8), TEMPLATE),)), "too small"),
        ("tm", lambda clip: replace(clip, neighbours=None), "no frame before and after"),
        ("av", lambda clip: replace(clip, sound=None), "no sound"),
        ("av", lambda clip: replace(clip, mouth=None), "not followed"),
        ("av", lambda clip: replace(clip, mouth=talking(seconds=0.8)[0]), "share 0.8 s"),
        ("av", lambda clip: replace(clip, mouth=talking(fps=5)[0]), "too few frames"),
        ("av", lambda clip: replace(clip, sound=replace(clip.sound, start=9.0)), "share 0.0 s"),
        ("av", lambda clip: replace(clip, sound=replace(clip.sound, samples=clip.sound.samples * 0)), "silent"),
        ("av", lambda clip: replace(clip, sound=replace(clip.sound, samples=clip.sound.samples * 2e-3)), "nothing is"),
    ],
)
def test_a_lens_without_its_input_abstains(code: str, change: Callable[[FaceClip], FaceClip], reason: str) -> None:
    with pytest.raises(Abstain, match=reason) as caught:
        LENSES[code].look(change(face_clip()))
    assert reason in caught.value.reason


def spread(values: np.ndarray) -> float:
    return float(np.abs(values - np.median(values)).mean())


def test_low_light_sees_noise_and_exposure_of_a_patch() -> None:
    plain = textured(CROP_SIZE, grain=3)
    noisy, dark = plain.copy(), plain.copy()
    grain = np.random.default_rng(9).normal(0, 8, (64, 64, 1))
    noisy[PATCH] = np.clip(plain[PATCH] + grain, 0, 255)
    dark[PATCH] = 255 * (plain[PATCH] / 255.0) ** 2
    look = LENSES["ll"].look
    before, louder, darker = (look(with_crop(crop))[0] for crop in (plain, noisy, dark))
    outside = np.ones((CROP_SIZE, CROP_SIZE), bool)
    outside[56:136, 72:152] = False
    assert spread(louder[1][PATCH]) > 1.4 * spread(before[1][PATCH])
    assert louder[2][PATCH].mean() > before[2][PATCH].mean() + 0.2
    assert darker[0][PATCH].mean() < before[0][PATCH].mean() - 0.2
    assert np.array_equal(louder[:, outside], before[:, outside])


def test_low_light_has_one_step_for_a_stop() -> None:
    look = LENSES["ll"].look
    levels = [look(with_crop(np.full((CROP_SIZE, CROP_SIZE, 3), v, np.uint8)))[0, 0, 0, 0] for v in (60, 120, 240)]
    steps = np.diff(levels)
    assert steps[0] > 0
    assert steps[1] == pytest.approx(steps[0], rel=0.1)


def test_background_sees_the_colour_of_a_patch() -> None:
    plain = textured(CONTEXT_SIZE)[None]
    warm = plain.copy()
    warm[0, 110:210, 110:210] = np.clip(warm[0, 110:210, 110:210] * [1.2, 1.0, 0.8], 0, 255)
    change = LENSES["bg"].look(replace(face_clip(1), context=warm)) - LENSES["bg"].look(
        replace(face_clip(1), context=plain)
    )
    inner = change[0, :, 90:135, 90:135].mean((1, 2))
    assert inner[0] > 0.1
    assert inner[2] < -0.1
    assert np.abs(change[0, :, :70]).max() == 0


def blockiness(luma: np.ndarray, phase: int) -> float:
    """How much larger steps across the lines of a grid are than others, along rows."""
    steps = np.abs(np.diff(luma, axis=1))
    lines = np.arange(7 + phase, steps.shape[1], 8) % steps.shape[1]
    others = np.setdiff1d(np.arange(steps.shape[1]), lines)
    return float(steps[:, lines].mean() / steps[:, others].mean())


def jpeg(rgb: np.ndarray, quality: int) -> np.ndarray:
    _, data = cv2.imencode(".jpg", rgb, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(data, cv2.IMREAD_COLOR)


def test_compression_keeps_the_grid_of_large_and_small_faces() -> None:
    frame = jpeg(textured(480), 20)
    for size in (480, 328, 224, 152, 88):
        luma = LENSES["cm"].look(with_native(frame[:size, :size]))[0, 0]
        assert blockiness(luma, 0) > 2 * blockiness(luma, 3), size


def test_compression_never_resamples_and_shows_all_of_a_large_face() -> None:
    frame = textured(304)
    seen = LENSES["cm"].look(with_native(frame))[0, 0]
    luma = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    for place, corner in ((0, 0), (2, 88), (3, 136), (6, 272)):  # multiples of 8, from edge to edge
        tile = luma[corner : corner + 32, :32]
        assert np.abs((seen[32 * place : 32 * place + 32, :32] + 1) * 127.5 - tile).max() <= 1.01  # rounded twice


def test_a_pasted_patch_breaks_the_compression_grid() -> None:
    frame = jpeg(textured(CROP_SIZE), 20)
    pasted = frame.copy()
    pasted[PATCH] = frame[67:131, 85:149]  # three rows and five columns off the grid
    whole, broken = (LENSES["cm"].look(with_native(picture))[0, 0][PATCH] for picture in (frame, pasted))
    assert blockiness(whole, 0) > 2
    assert blockiness(broken, 0) < 1.2
    assert blockiness(broken, 3) > 2


def test_a_scaled_patch_dims_the_finest_residual_and_a_sharpened_one_lights_it() -> None:
    frame = textured(CROP_SIZE)
    scaled, sharp = frame.copy(), frame.copy()
    small = cv2.resize(frame[PATCH], (24, 24), interpolation=cv2.INTER_AREA)
    scaled[PATCH] = cv2.resize(small, (64, 64), interpolation=cv2.INTER_CUBIC)
    blurred = cv2.GaussianBlur(frame, (0, 0), 1.5)
    sharp[PATCH] = cv2.addWeighted(frame, 1.8, blurred, -0.8, 0)[PATCH]
    look = LENSES["rr"].look
    before, dimmed, lit = (look(with_native(picture))[0] for picture in (frame, scaled, sharp))
    inner = np.s_[70:122, 86:138]
    assert spread(dimmed[0][inner]) < 0.35 * spread(before[0][inner])
    assert spread(lit[0][inner]) > 1.15 * spread(before[0][inner])
    assert spread(dimmed[2][inner]) > 0.7 * spread(before[2][inner])


def test_temporal_sees_nothing_in_a_still_and_jitter_where_it_is() -> None:
    crop = textured(CROP_SIZE)
    before, after = crop.copy(), crop.copy()
    before[PATCH], after[PATCH] = crop[62:126, 78:142], crop[66:130, 82:146]  # two pixels there and two back
    look = LENSES["tm"].look
    still = look(with_crop(crop, neighbours=np.stack([crop, crop])[None]))[0]
    moved = look(with_crop(crop, neighbours=np.stack([before, after])[None]))[0]
    assert np.abs(still[:2]).max() == 0
    assert still[2].max() < -0.9
    assert np.abs(moved[:2][:, 68:124, 84:140]).mean() > 0.2
    assert np.abs(moved[:2, :60]).max() == 0
    assert moved[2][72:120, 88:136].mean() > moved[2, :40].mean() + 0.5


def columns(picture: np.ndarray) -> np.ndarray:
    return picture.mean(0) - picture.mean()


@pytest.mark.parametrize("shift", [-0.3, 0.0, 0.2, 0.4])
def test_a_shifted_sound_moves_in_the_audio_visual_lens(shift: float) -> None:
    mouth, sound = talking(shift)
    clip = replace(face_clip(1), mouth=mouth, sound=sound, times=np.array([1.3]))
    seen = LENSES["av"].look(clip)[0]
    straight = LENSES["av"].look(replace(clip, sound=talking()[1]))[0]
    assert np.array_equal(seen[0], straight[0])  # the mouth stays
    lags = np.arange(-60, 61)
    inner = columns(straight[1])[60:-60]
    likeness = [inner @ columns(seen[1])[60 + lag : CROP_SIZE - 60 + lag] for lag in lags]
    assert lags[np.argmax(likeness)] * STEP == pytest.approx(shift, abs=STEP)
    brightest = (np.argmax(seen[2].mean(1)) + 0.5) / CROP_SIZE * 2 * LAGS - LAGS
    assert brightest == pytest.approx(shift - LEAD, abs=0.04)


def test_audio_visual_channels_share_one_time_axis() -> None:
    seen = LENSES["av"].look(replace(face_clip(1), times=np.array([1.3])))[0]
    begin = 1.3 - SPAN / 2
    openings = np.abs(seen[0]).mean(0) * np.sign(-seen[0][CROP_SIZE // 2 - 20])
    for onset in (0.8, 1.6):
        column = round((onset + 0.06 - begin) / STEP)
        near = slice(column - 8, column + 9)
        assert np.argmax(seen[1].mean(0)[near]) == pytest.approx(8, abs=3)
        assert np.argmax(openings[near]) == pytest.approx(8, abs=4)


def test_silence_at_the_ends_says_nothing() -> None:
    """Digital silence, as padding leaves it, is blank in all channels, mouth included."""
    clip = replace(face_clip(1), times=np.array([1.3]))
    assert clip.sound is not None
    samples = clip.sound.samples.copy()
    samples[: round(1.2 * RATE)] = 0  # up to second 0.7
    seen = LENSES["av"].look(replace(clip, sound=replace(clip.sound, samples=samples)))[0]
    filled = np.abs(seen).max((0, 1)) > 0
    assert filled.sum() == pytest.approx((clip.mouth.times[-1] - 0.7) / STEP, abs=2)  # type: ignore[union-attr]


def test_agreement_reaches_beyond_the_window_and_not_into_silence() -> None:
    """A later lag is compared in full where the sound goes on; what is not known of it says nothing."""
    clip = replace(face_clip(1), times=np.array([1.3]))
    assert clip.sound is not None
    assert clip.mouth is not None
    whole = LENSES["av"].look(clip)[0, 2]
    inside = (np.arange(len(clip.sound.samples)) / RATE + clip.sound.start >= clip.mouth.times[0]).astype(np.float32)
    cut = LENSES["av"].look(replace(clip, sound=replace(clip.sound, samples=clip.sound.samples * inside)))[0, 2]
    late, early = slice(120, None), slice(0, 100)
    assert np.abs(whole[late] - cut[late]).max() < 0.01
    assert np.abs(whole[early] - cut[early]).max() > 0.04
    soft = replace(clip, sound=replace(clip.sound, samples=clip.sound.samples / 8))
    assert np.abs(LENSES["av"].look(soft)[0, 2] - whole).max() < 0.01


def test_what_is_seen_goes_with_what_is_heard_pair_by_pair() -> None:
    """Each pair rises and falls together in sync, and the rates do not hear a voice that slowly grows louder."""
    mouth, sound = talking()
    grain = np.random.default_rng(0).integers(0, 40, mouth.frames.shape, np.uint8)
    mouth = replace(mouth, frames=mouth.frames + grain)
    moments = np.arange(0.2, 2.2, 0.01)

    def likeness(sound: Sound) -> list[float]:
        pairs = zip(lip_signals(mouth, moments), sound_signals(sound, moments)[list(HEARD)], strict=True)
        return [float(np.corrcoef(seen, heard)[0, 1]) for seen, heard in pairs]

    straight = likeness(sound)
    assert min(straight) > 0.3
    swelling = np.geomspace(1e-2, 1, len(sound.samples)).astype(np.float32)  # 40 dB
    lost = np.subtract(straight, likeness(replace(sound, samples=sound.samples * swelling)))
    assert np.abs(lost[1:]).max() < 0.05 < lost[0]
    apart = likeness(replace(sound, start=sound.start + 0.3))
    assert max(apart) < min(straight) - 0.2


def test_mouth_motion_is_per_time_not_per_frame() -> None:
    slow, fast = (mouth_motion(talking(fps=fps)[0]).sum() / fps for fps in (25, 50))
    assert slow == pytest.approx(fast, rel=0.25)
    assert [channel.kind for channel in CHANNELS] == ["signed", "amount", "signed"]
