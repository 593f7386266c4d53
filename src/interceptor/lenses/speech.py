"""What is measured of a speaking mouth and of its sound, for the lens that shows them and for plain comparison.

How much a mouth moves and how far it is open both rise and fall with the sound's level (Chandrasekaran et al., PLoS
Computational Biology 2009). How fast it opens or closes says more of the moment than how far it is open: syllables are
short, a mouth's rest and a voice's loudness drift. So three things are seen, and each is compared with what is heard.
"""

from __future__ import annotations

import cv2
import numpy as np

from interceptor.lenses.abstain import Abstain
from interceptor.media.clips import FaceClip, Mouth, Sound
from interceptor.media.sound import HOP, SILENCE, log_mel

MIN_SPAN = 1.0
"""Seconds that mouth and sound must share."""
MAX_GAP = 0.25
"""Longest time, seconds, without a frame of the mouth."""
MIN_RATE = 10.0
"""Fewest frames a second in which speech can be seen."""
QUIET = 1e-3
"""Root mean square (-60 dB) below which nothing is being said."""
LEAD = 0.03
"""Seconds by which mouths are ahead of the sound's level in clips that are in sync."""

HEARD = (0, 1, 1)
"""The row of `sound_signals` that goes with each of `lip_signals`."""

_RANGE_DB = 50.0
_FORMANT = slice(24, 45)
"""Of 80 bands, those between about 0.8 and 2.1 kHz, where the second formant lies: of all bands their level follows the
lips best (Grant and Seitz, Journal of the Acoustical Society of America 108, 2000)."""
_SMOOTH = 4.0
"""Standard deviation, in hops, by which the level is smoothed: about a frame of video."""
_SMOOTH_LIPS = 2.0
"""The same for what is seen, of which rates are taken: frames have smoothed it already."""
_LIPS = slice(16, 64)
"""Rows of the mouth's cut that move with speech: below the nose."""
_INSIDE = np.s_[:, 20:48, 28:68]
"""Where a mouth opens."""
_MIDDLE = np.s_[:, 20:60, 28:68]
"""The same and the lower lip."""
_DARK = 12.0
"""The darkest percent of these pixels over a window count as the inside of a mouth."""
_STILL = 0.5
"""Motion, levels of 255, below which a mouth rests: codecs make that much of nothing."""


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


def shared_time(mouth: Mouth, sound: Sound) -> tuple[float, float]:
    """(from, to) in seconds: where the mouth is seen and the track has sound, digital silence at its ends left out.

    Raises `Abstain` where that is too short, or where nothing is heard.
    """
    first, last = _heard(sound)
    low, high = max(mouth.times[0], first), min(mouth.times[-1], last)
    if high - low < MIN_SPAN:
        raise Abstain(f"mouth and sound share {max(0.0, high - low):.1f} s; {MIN_SPAN:.0f} s are needed")
    part = sound.samples[round((low - sound.start) * sound.rate) : round((high - sound.start) * sound.rate)]
    if np.sqrt(np.mean(part**2)) < QUIET:
        raise Abstain("nothing is heard while the mouth is seen")
    return float(low), float(high)


def _heard(sound: Sound) -> tuple[float, float]:
    """(from, to) in seconds: the track without digital silence at its ends. Raises `Abstain` where that is nothing."""
    heard = np.flatnonzero(np.abs(sound.samples) > SILENCE)
    if not len(heard):
        raise Abstain("the sound track is silent")
    return sound.start + heard[0] / sound.rate, sound.start + (heard[-1] + 1) / sound.rate


def mouth_motion(mouth: Mouth) -> np.ndarray:
    """float32[64, t - 1], levels of 255 in 40 ms: how much each row changes between two frames."""
    change = np.abs(np.diff(mouth.frames.astype(np.float32), axis=0)).mean(2)
    return (change * (0.04 / np.diff(mouth.times).astype(np.float32))[:, None]).T


def lip_signals(mouth: Mouth, moments: np.ndarray) -> np.ndarray:
    """float64[3, k] at the moments, seconds: log of how much the mouth moves (`mouth_motion`, all rows below the nose);
    how fast it opens (share of its middle that is as dark as the inside of a mouth) and how fast its middle darkens
    (levels of 255), both in 10 ms.
    """
    grid = np.arange(mouth.times[0], mouth.times[-1] + HOP, HOP)
    speed = np.log(mouth_motion(mouth)[_LIPS].mean(0) + _STILL)
    inside = mouth.frames[_INSIDE]
    opening = (inside < np.percentile(inside, _DARK)).mean((1, 2))
    darkness = -mouth.frames[_MIDDLE].mean((1, 2), dtype=np.float64)
    return np.stack(
        [
            np.interp(moments, (mouth.times[1:] + mouth.times[:-1]) / 2, speed),
            *(
                np.interp(moments, grid, np.gradient(_smoothed(np.interp(grid, mouth.times, values), _SMOOTH_LIPS)))
                for values in (opening, darkness)
            ),
        ]
    )


def sound_signals(sound: Sound, moments: np.ndarray) -> np.ndarray:
    """float64[2, ...], as `moments`: level of the second formant's bands, dB, smoothed over a frame of video, and how
    much it rises in 10 ms; NaN where there is no sound, or digital silence at the track's ends. Raises `Abstain` where
    all of it is silent.
    """
    spectrum = log_mel(sound.samples, sound.rate)
    level = _smoothed(np.maximum(spectrum, spectrum.max() - _RANGE_DB)[_FORMANT].mean(0), _SMOOTH)
    times = sound.start + np.arange(len(level)) * HOP
    first, last = _heard(sound)
    known = (moments >= first) & (moments <= last)
    signals = level, np.gradient(level)
    return np.stack([np.where(known, np.interp(moments, times, values), np.nan) for values in signals])


def _smoothed(values: np.ndarray, deviation: float) -> np.ndarray:
    """float64[k] by a Gaussian of `deviation` steps."""
    return cv2.GaussianBlur(values[None].astype(np.float64), (0, 0), deviation, borderType=cv2.BORDER_REPLICATE)[0]
