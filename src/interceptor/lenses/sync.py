"""Do lips and sound go together, and by how much are they apart? Plain correlation, nothing learned.

Two signals of the mouth are compared with one of the sound at every lag: how much it moves, and how far it is open.
Both rise and fall with the sound's level (Chandrasekaran et al., PLoS Computational Biology 2009).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from interceptor.lenses.abstain import Abstain
from interceptor.lenses.audio_visual import MIN_SPAN, mouth_and_sound, mouth_motion, shared_time
from interceptor.media.clips import FaceClip, Mouth, Sound
from interceptor.media.sound import HOP, log_mel

REACH = 0.6
"""Largest lag looked at, seconds either way."""
LEAD = 0.02
"""Seconds by which mouths are ahead of the sound's level in clips that are in sync."""
NEAR, APART = 0.06, 0.2
"""Lags up to `NEAR` from the expected one count as in sync, those beyond `APART` as out of it."""

_RANGE_DB = 60.0
_VOICE = slice(4, 60)
"""Of 80 bands, those between about 120 Hz and 4.3 kHz."""
_SMOOTH = 4.0
"""Standard deviation, in hops, by which the level is smoothed: about a frame of video."""
_LIPS = slice(16, 64)
"""Rows of the mouth's cut that move with speech: below the nose."""
_INSIDE = np.s_[:, 20:48, 28:68]
"""Where a mouth opens."""
_DARK = 12.0
"""The darkest percent of these pixels over a window count as the inside of a mouth."""
_STILL = 0.5
"""Motion, levels of 255, below which a mouth rests: codecs make that much of nothing."""


@dataclass(frozen=True)
class Sync:
    """How well lips and sound of a clip agree at each lag."""

    lags: np.ndarray
    """float64[k], seconds by which the sound is late, rising"""
    likeness: np.ndarray
    """float64[k], mean correlation, -1 to 1; NaN where too little of both overlaps"""

    @property
    def offset(self) -> float:
        """Seconds by which the sound is late; below 0 it is early."""
        return float(self.lags[np.nanargmax(self.likeness)])

    @property
    def agreement(self) -> float:
        """The best likeness in sync less the best out of it: above 0 speaks for sync, below 0 against it."""
        near, apart = np.abs(self.lags) <= NEAR, np.abs(self.lags) > APART
        return float(np.nanmax(self.likeness[near]) - np.nanmax(self.likeness[apart]))


def sync(clip: FaceClip) -> Sync:
    """Lips and sound of a clip compared at lags up to `REACH`. Raises `Abstain` as the audio-visual lens does."""
    mouth, sound = mouth_and_sound(clip)
    shared_time(mouth, sound)
    moments = np.arange(mouth.times[0], mouth.times[-1], HOP)
    reach = round(REACH / HOP)
    around = moments[0] + LEAD + (np.arange(len(moments) + 2 * reach)) * HOP - reach * HOP
    level = sound_level(sound, around)
    likeness = (_likeness(motion(mouth, moments), level) + _likeness(opening(mouth, moments), level)) / 2
    lags = np.arange(-reach, reach + 1) * HOP
    if np.isnan(likeness[np.abs(lags) <= NEAR]).all() or np.isnan(likeness[np.abs(lags) > APART]).all():
        raise Abstain("the sound covers too little of the time in which the mouth is seen")
    return Sync(lags, likeness)


def motion(mouth: Mouth, moments: np.ndarray) -> np.ndarray:
    """float64[k]: log of how much the mouth moves (`mouth_motion`, all rows below the nose) at the moments, seconds."""
    speed = mouth_motion(mouth)[_LIPS].mean(0)
    return np.interp(moments, (mouth.times[1:] + mouth.times[:-1]) / 2, np.log(speed + _STILL))


def opening(mouth: Mouth, moments: np.ndarray) -> np.ndarray:
    """float64[k], 0..1: the share of the mouth's middle that is as dark as the inside of a mouth at the moments."""
    inside = mouth.frames[_INSIDE]
    return np.interp(moments, mouth.times, (inside < np.percentile(inside, _DARK)).mean((1, 2)))


def sound_level(sound: Sound, moments: np.ndarray) -> np.ndarray:
    """float64[k]: level of the voice's bands, dB, smoothed over a frame of video; NaN where there is no sound."""
    spectrum = log_mel(sound.samples, sound.rate)
    level = np.maximum(spectrum, spectrum.max() - _RANGE_DB)[_VOICE].mean(0)
    level = cv2.GaussianBlur(level[None], (0, 0), _SMOOTH, borderType=cv2.BORDER_REPLICATE)[0]
    times = sound.start + np.arange(len(level)) * HOP
    return np.interp(moments, times, level, left=np.nan, right=np.nan)


def _likeness(seen: np.ndarray, heard: np.ndarray) -> np.ndarray:
    """Correlation of `seen` [k] with each such stretch of `heard` [k + 2 r]; NaN where they share under `MIN_SPAN`."""
    stretches = np.lib.stride_tricks.sliding_window_view(heard, len(seen))
    known = np.isfinite(stretches)
    count = known.sum(1)

    def centred(values: np.ndarray) -> np.ndarray:
        mean = np.where(known, values, 0).sum(1) / np.maximum(count, 1)
        return np.where(known, values - mean[:, None], 0)

    first, second = centred(np.broadcast_to(seen, stretches.shape)), centred(stretches)
    scale = np.sqrt((first**2).sum(1) * (second**2).sum(1))
    found = np.divide((first * second).sum(1), scale, out=np.zeros(len(scale)), where=scale > 0)
    return np.where(count * HOP >= MIN_SPAN, found, np.nan)
