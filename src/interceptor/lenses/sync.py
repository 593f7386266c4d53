"""Do lips and sound go together, and by how much are they apart? Plain correlation, nothing learned.

Three signals of the mouth are compared with what goes with them in the sound, at every lag (`speech.py`): how much it
moves, and how fast it opens and darkens.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from interceptor.lenses.abstain import Abstain
from interceptor.lenses.speech import HEARD, LEAD, MIN_SPAN, lip_signals, mouth_and_sound, shared_time, sound_signals
from interceptor.media.clips import FaceClip
from interceptor.media.sound import HOP

REACH = 0.6
"""Largest lag looked at, seconds either way."""
NEAR, APART = 0.06, 0.2
"""Lags up to `NEAR` from the expected one count as in sync, those beyond `APART` as out of it."""


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
    heard = sound_signals(sound, around)
    pairs = zip(lip_signals(mouth, moments), HEARD, strict=True)
    likeness = np.mean([_likeness(seen, heard[row]) for seen, row in pairs], axis=0)
    lags = np.arange(-reach, reach + 1) * HOP
    if np.isnan(likeness[np.abs(lags) <= NEAR]).all() or np.isnan(likeness[np.abs(lags) > APART]).all():
        raise Abstain("the sound covers too little of the time in which the mouth is seen")
    return Sync(lags, likeness)


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
