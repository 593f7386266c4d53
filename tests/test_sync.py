from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from interceptor.lenses import Abstain
from interceptor.lenses.sync import LEAD, REACH, sync
from interceptor.media import probe
from interceptor.media.windows import cut_window
from portraits import detector
from test_lenses import face_clip, talking

KNOWN = Path(__file__).parents[2] / "shared" / "data" / "videos" / "talking" / "offset"


@pytest.mark.parametrize("shift", [-0.4, -0.12, 0.0, 0.12, 0.3])
def test_the_offset_of_a_shifted_sound_is_found(shift: float) -> None:
    mouth, sound = talking()
    found = sync(replace(face_clip(1), mouth=mouth, sound=replace(sound, start=sound.start + shift + LEAD)))
    assert found.offset == pytest.approx(shift, abs=0.03)
    assert found.agreement > 0 or shift != 0
    assert found.agreement < 0 or abs(shift) < 0.3
    assert np.abs(found.lags).max() == pytest.approx(REACH)
    assert np.nanmax(np.abs(found.likeness)) <= 1


def test_the_sound_of_another_agrees_less() -> None:
    mouth, sound = talking()
    clip = replace(face_clip(1), mouth=mouth, sound=replace(sound, start=sound.start + LEAD))
    noise = np.random.default_rng(0).normal(0, 0.1, len(sound.samples)).astype(np.float32)
    assert sync(replace(clip, sound=replace(sound, samples=noise))).agreement < sync(clip).agreement - 0.2


def test_loudness_does_not_matter_and_lags_without_sound_are_not_judged() -> None:
    clip = face_clip(1)
    assert clip.sound is not None
    soft = replace(clip, sound=replace(clip.sound, samples=clip.sound.samples / 4))
    assert sync(soft).likeness == pytest.approx(sync(clip).likeness, abs=1e-4)
    ends = replace(clip, sound=replace(clip.sound, samples=clip.sound.samples[: round(1.7 * clip.sound.rate)]))
    found = sync(ends)
    assert np.isnan(found.likeness).any()
    assert np.isfinite(found.offset)


def test_a_clip_without_sound_abstains() -> None:
    with pytest.raises(Abstain, match="no sound"):
        sync(replace(face_clip(1), sound=None))


@pytest.mark.skipif(not KNOWN.is_dir(), reason=f"the clip of known offset is missing: {KNOWN}")
def test_a_sound_known_to_be_three_frames_early_is_measured() -> None:
    (path,) = KNOWN.iterdir()
    (clip,) = cut_window(path, probe(path), detector(), crops=1).clips
    assert sync(clip).offset == pytest.approx(-0.12, abs=0.04)
