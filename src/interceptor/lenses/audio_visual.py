"""AV, audio-visual: the mouth's movement beside the sound, on one time axis."""

from __future__ import annotations

import cv2
import numpy as np

from interceptor.lenses.abstain import Abstain
from interceptor.lenses.channel import Channel
from interceptor.lenses.scales import amount, signed
from interceptor.media.clips import FaceClip, Mouth, Sound
from interceptor.media.crops import CROP_SIZE
from interceptor.media.sound import HOP, SILENCE, log_mel

CHANNELS = (Channel("mouth slice", "signed"), Channel("log-mel sound", "amount"), Channel("mouth motion", "amount"))

SPAN = CROP_SIZE * HOP
"""Seconds shown: one column is one window of the spectrogram."""
MIN_SPAN = 1.0
"""Seconds that mouth and sound must share."""
MAX_GAP = 0.25
"""Longest time, seconds, without a frame of the mouth."""
MIN_RATE = 10.0
"""Fewest frames a second in which speech can be seen."""
QUIET = 1e-3
"""Root mean square (-60 dB) below which nothing is being said."""
SHADE, MOTION = 24.0, 4.0
"""Levels of 255 that come out as 0.5 in the slice and as 0 in the motion."""
RANGE_DB = 60.0
"""The loudest point of the stretch is 1, what is this much weaker is -1."""
MIDDLE = slice(36, 60)
"""Columns of the mouth's cut that the slice averages: the middle quarter."""


def audio_visual(clip: FaceClip) -> np.ndarray:
    """float32[n, 3, 224, 224], -1..1. Columns are time, 10 ms each, the crop's own time as near the middle as can be.

    Mouth slice: rows of the mouth (upper lip at the top), its middle columns averaged, less their mean over time.
    Log-mel: pitch rises upwards; level relative to the stretch's loudest point. Mouth motion: rows of the mouth,
    change between its frames (per 40 ms) averaged over the columns. Where the window ends, and where the sound begins
    or ends in digital silence, all three are 0: padding says nothing.
    """
    mouth, sound = mouth_and_sound(clip)
    low, high = shared_time(mouth, sound)
    slices, motion = mouth_slice(mouth), mouth_motion(mouth)
    middles = (mouth.times[1:] + mouth.times[:-1]) / 2
    spectrum = log_mel(sound.samples, sound.rate)
    moments = sound.start + np.arange(spectrum.shape[1]) * HOP
    out = np.empty((len(clip.times), 3, CROP_SIZE, CROP_SIZE), np.float32)
    for seen, time in zip(out, clip.times, strict=True):
        begin = max(low, min(time - SPAN / 2, high - SPAN))
        columns = begin + (np.arange(CROP_SIZE) + 0.5) * HOP
        seen[0] = signed(_placed(slices, mouth.times, columns), SHADE)
        power = _placed(spectrum[::-1], moments, columns)
        seen[1] = np.clip(1 + 2 * (power - power.max()) / RANGE_DB, -1, 1)
        seen[2] = amount(_placed(motion, middles, columns), MOTION)
        seen[:, :, (columns < low) | (columns >= high)] = 0
    return out


def shared_time(mouth: Mouth, sound: Sound) -> tuple[float, float]:
    """(from, to) in seconds: where the mouth is seen and the track has sound, digital silence at its ends left out.

    Raises `Abstain` where that is too short, or where nothing is heard.
    """
    heard = np.flatnonzero(np.abs(sound.samples) > SILENCE)
    if not len(heard):
        raise Abstain("the sound track is silent")
    low = max(mouth.times[0], sound.start + heard[0] / sound.rate)
    high = min(mouth.times[-1], sound.start + (heard[-1] + 1) / sound.rate)
    if high - low < MIN_SPAN:
        raise Abstain(f"mouth and sound share {max(0.0, high - low):.1f} s; {MIN_SPAN:.0f} s are needed")
    part = sound.samples[round((low - sound.start) * sound.rate) : round((high - sound.start) * sound.rate)]
    if np.sqrt(np.mean(part**2)) < QUIET:
        raise Abstain("nothing is heard while the mouth is seen")
    return float(low), float(high)


def mouth_slice(mouth: Mouth) -> np.ndarray:
    """float32[64, t], levels of 255: the middle of the mouth over time, less its mean over time."""
    rows = mouth.frames[:, :, MIDDLE].mean(2, dtype=np.float32).T
    return rows - rows.mean(1, keepdims=True)


def mouth_motion(mouth: Mouth) -> np.ndarray:
    """float32[64, t - 1], levels of 255 in 40 ms: how much each row changes between two frames."""
    change = np.abs(np.diff(mouth.frames.astype(np.float32), axis=0)).mean(2)
    return (change * (0.04 / np.diff(mouth.times).astype(np.float32))[:, None]).T


def mouth_and_sound(clip: FaceClip) -> tuple[Mouth, Sound]:
    """The longest stretch in which the mouth is seen without a gap, and the sound. Raises `Abstain`."""
    if clip.sound is None:
        raise Abstain("the file has no sound here")
    if clip.mouth is None or len(clip.mouth.times) < 2:
        raise Abstain("the mouth is not followed through time")
    times = clip.mouth.times
    runs = np.split(np.arange(len(times)), np.flatnonzero(np.diff(times) > MAX_GAP) + 1)
    longest = max(runs, key=len)
    seen = times[longest]
    if len(seen) < 2 or (len(seen) - 1) / (seen[-1] - seen[0]) < MIN_RATE:
        raise Abstain(f"too few frames of the mouth: {MIN_RATE:.0f} a second are needed")
    return Mouth(clip.mouth.frames[longest], seen), clip.sound


def _placed(rows: np.ndarray, times: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """float32[224, 224]: [r, t] at rising `times` drawn at the columns' times, and its rows stretched; linear."""
    after = np.clip(np.searchsorted(times, columns), 1, len(times) - 1)
    share = np.clip((columns - times[after - 1]) / (times[after] - times[after - 1]), 0, 1).astype(np.float32)
    drawn = rows[:, after - 1] * (1 - share) + rows[:, after] * share
    return cv2.resize(drawn, (len(columns), CROP_SIZE), interpolation=cv2.INTER_LINEAR)
