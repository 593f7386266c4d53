"""AV, audio-visual: the mouth's movement beside the sound, on one time axis."""

from __future__ import annotations

import cv2
import numpy as np

from interceptor.lenses.channel import Channel
from interceptor.lenses.scales import signed
from interceptor.lenses.speech import HEARD, LEAD, MIN_SPAN, lip_signals, mouth_and_sound, shared_time, sound_signals
from interceptor.media.clips import FaceClip, Mouth, Sound
from interceptor.media.crops import CROP_SIZE
from interceptor.media.sound import HOP, log_mel

CHANNELS = (Channel("mouth slice", "signed"), Channel("log-mel sound", "amount"), Channel("agreement", "signed"))

SPAN = 2.6
"""Seconds shown."""
STEP = SPAN / CROP_SIZE
"""Seconds of a column: a little more than one window of the spectrogram."""
SHADE = 24.0
"""Levels of 255 that come out as 0.5 in the slice."""
LAGS = 0.56
"""Seconds: the agreement's first row has the sound so much early, its last so much late."""
BLUR = 0.6
"""Seconds (standard deviation) over which agreement is averaged: a syllable or two say little."""
RANGE_DB = 60.0
"""The loudest point of the stretch is 1, what is this much weaker is -1."""
MIDDLE = slice(36, 60)
"""Columns of the mouth's cut that the slice averages: the middle quarter."""
_APART = (np.arange(CROP_SIZE)[:, None] - np.arange(CROP_SIZE)) * STEP / BLUR
_AVERAGE = (np.exp(-0.5 * _APART**2) * STEP / BLUR / np.sqrt(2 * np.pi)).astype(np.float32)
"""A Gaussian of `BLUR` about each column, as a matrix."""


def audio_visual(clip: FaceClip) -> np.ndarray:
    """float32[n, 3, 224, 224], -1..1. Columns are time, 12 ms each, the crop's own time as near the middle as can be.

    Mouth slice: rows of the mouth (upper lip at the top), its middle columns averaged, less their mean over time.
    Log-mel: pitch rises upwards; level relative to the stretch's loudest point. Agreement: how much the mouth moves
    times how loud it is `row` later, and how fast it opens and darkens times how fast the sound rises, averaged over
    time and over the three (`speech.py`); all standardised over what is shown and, at that lag, heard (the sound
    reaches beyond the mouth's window), so that the mean of a row is the correlation of lips and sound at one lag. Where
    they go together the middle row is the brightest. Where the window ends, and where the sound begins or ends in
    digital silence, all three are 0, and so are rows of which less than 1 s is heard: padding says nothing.
    """
    mouth, sound = mouth_and_sound(clip)
    low, high = shared_time(mouth, sound)
    slices = mouth_slice(mouth)
    spectrum = log_mel(sound.samples, sound.rate)
    moments = sound.start + np.arange(spectrum.shape[1]) * HOP
    out = np.empty((len(clip.times), 3, CROP_SIZE, CROP_SIZE), np.float32)
    for seen, time in zip(out, clip.times, strict=True):
        begin = max(low, min(time - SPAN / 2, high - SPAN))
        columns = begin + (np.arange(CROP_SIZE) + 0.5) * STEP
        shown = (columns >= low) & (columns < high)
        seen[0] = signed(_placed(slices, mouth.times, columns), SHADE)
        power = _placed(spectrum[::-1], moments, columns)
        seen[1] = np.clip(1 + 2 * (power - power.max()) / RANGE_DB, -1, 1)
        seen[2] = np.clip(_agreement(mouth, sound, columns, shown), -1, 1)
        seen[:, :, ~shown] = 0
    return out


def _agreement(mouth: Mouth, sound: Sound, columns: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """[224, 224]: lips times the sound a lag later, from -`LAGS` to `LAGS`; the mean of all pairs of signals."""
    lags = ((np.arange(CROP_SIZE) + 0.5) / CROP_SIZE - 0.5) * 2 * LAGS
    heard = sound_signals(sound, columns + LEAD + lags[:, None])
    known = shown & np.isfinite(heard[0])
    known &= known.sum(1, keepdims=True) * STEP >= MIN_SPAN - STEP
    sounds = [_standard(values.astype(np.float32), known) for values in heard]
    pairs = zip(lip_signals(mouth, columns), HEARD, strict=True)
    together = sum(_standard(lips.astype(np.float32), known) * sounds[row] for lips, row in pairs)
    return together / len(HEARD) @ _AVERAGE


def _standard(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """[224, 224], each row of `values` less its mean, over its standard deviation, where `known`; 0 elsewhere."""
    count = np.maximum(known.sum(1, keepdims=True), 1)
    centred = np.where(known, values - np.where(known, values, 0).sum(1, keepdims=True) / count, 0)
    return centred / np.maximum(np.sqrt((centred**2).sum(1, keepdims=True) / count), 1e-6)


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
