"""AV, audio-visual: the mouth's movement beside the sound, on one time axis."""

from __future__ import annotations

import cv2
import numpy as np

from interceptor.lenses.channel import Channel
from interceptor.lenses.scales import signed
from interceptor.lenses.speech import LEAD, motion, mouth_and_sound, opening, shared_time, sound_level
from interceptor.media.clips import FaceClip, Mouth
from interceptor.media.crops import CROP_SIZE
from interceptor.media.sound import HOP, log_mel

CHANNELS = (Channel("mouth slice", "signed"), Channel("log-mel sound", "amount"), Channel("agreement", "signed"))

SPAN = CROP_SIZE * HOP
"""Seconds shown: one column is one window of the spectrogram."""
SHADE = 24.0
"""Levels of 255 that come out as 0.5 in the slice."""
LAGS = 0.56
"""Seconds: the agreement's first row has the sound so much early, its last so much late."""
BLUR = 0.3
"""Seconds (standard deviation) over which agreement is averaged: a syllable or two say little."""
RANGE_DB = 60.0
"""The loudest point of the stretch is 1, what is this much weaker is -1."""
MIDDLE = slice(36, 60)
"""Columns of the mouth's cut that the slice averages: the middle quarter."""


def audio_visual(clip: FaceClip) -> np.ndarray:
    """float32[n, 3, 224, 224], -1..1. Columns are time, 10 ms each, the crop's own time as near the middle as can be.

    Mouth slice: rows of the mouth (upper lip at the top), its middle columns averaged, less their mean over time.
    Log-mel: pitch rises upwards; level relative to the stretch's loudest point. Agreement: how much the mouth moves and
    is open, times how loud it is `row` later, both standardised over the stretch, and averaged over time: along a row,
    the correlation of lips and sound at one lag. Where they go together the middle row is the brightest. Where the
    window ends, and where the sound begins or ends in digital silence, all three are 0: padding says nothing.
    """
    mouth, sound = mouth_and_sound(clip)
    low, high = shared_time(mouth, sound)
    slices = mouth_slice(mouth)
    spectrum = log_mel(sound.samples, sound.rate)
    moments = sound.start + np.arange(spectrum.shape[1]) * HOP
    out = np.empty((len(clip.times), 3, CROP_SIZE, CROP_SIZE), np.float32)
    for seen, time in zip(out, clip.times, strict=True):
        begin = max(low, min(time - SPAN / 2, high - SPAN))
        columns = begin + (np.arange(CROP_SIZE) + 0.5) * HOP
        shown = (columns >= low) & (columns < high)
        lips = _standard(motion(mouth, columns), shown) + _standard(opening(mouth, columns), shown)
        level = _standard(sound_level(sound, columns + LEAD), shown)
        seen[0] = signed(_placed(slices, mouth.times, columns), SHADE)
        power = _placed(spectrum[::-1], moments, columns)
        seen[1] = np.clip(1 + 2 * (power - power.max()) / RANGE_DB, -1, 1)
        agreement = cv2.GaussianBlur(_lagged(level) * lips / 2, (0, 1), BLUR / HOP, borderType=cv2.BORDER_CONSTANT)
        seen[2] = np.clip(agreement, -1, 1)
        seen[:, :, ~shown] = 0
    return out


def _standard(values: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """[224] less its mean, over its standard deviation, where `shown` and known; 0 elsewhere."""
    known = shown & np.isfinite(values)
    some = values[known]
    return np.where(known, (values - some.mean()) / max(float(some.std()), 1e-6), 0)


def _lagged(level: np.ndarray) -> np.ndarray:
    """[224, 224]: each row the level a lag later, the lags from -`LAGS` to `LAGS`; 0 beyond what is shown."""
    lags = ((np.arange(CROP_SIZE) + 0.5) / CROP_SIZE - 0.5) * 2 * LAGS / HOP
    places = np.arange(CROP_SIZE) + lags[:, None]
    return np.interp(places, np.arange(CROP_SIZE), level, left=0, right=0)


def mouth_slice(mouth: Mouth) -> np.ndarray:
    """float32[64, t], levels of 255: the middle of the mouth over time, less its mean over time."""
    rows = mouth.frames[:, :, MIDDLE].mean(2, dtype=np.float32).T
    return rows - rows.mean(1, keepdims=True)


def _placed(rows: np.ndarray, times: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """float32[224, 224]: [r, t] at rising `times` drawn at the columns' times, and its rows stretched; linear."""
    after = np.clip(np.searchsorted(times, columns), 1, len(times) - 1)
    share = np.clip((columns - times[after - 1]) / (times[after] - times[after - 1]), 0, 1).astype(np.float32)
    drawn = rows[:, after - 1] * (1 - share) + rows[:, after] * share
    return cv2.resize(drawn, (len(columns), CROP_SIZE), interpolation=cv2.INTER_LINEAR)
