"""Sound and lips: the real sound, moved in time or taken from somebody else, under the real mouth.

Both windows of a pair have one length and are cut out of the same longer sound, from talk of about one level. Where
mouth and sound are equally long the two places are drawn alike, so that which of the windows goes with the lips is
the toss of a coin and nothing about a sound alone can tell.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from interceptor.forges.blend import Forged, ForgeError
from interceptor.media.clips import FaceClip, Mouth, Sound

SECONDS = 2.3
"""Length of a window."""
SHORTEST = 1.0
"""Length of a window of a short clip, at least."""
SHIFT = 0.3
"""Seconds between two windows of one sound, at least."""
SLACK = 0.6
"""Seconds of talk beyond the window that a window is shortened for, so that shifts can differ."""
LEVEL = 4.0
"""Decibels by which a window may be louder or quieter than the whole talk: it is no pause."""
SILENCE = -50.0
"""Decibels, against the loudest 20 ms, below which a sound has not begun or is over."""


def forge(clip: FaceClip, rng: np.random.Generator, other: Sound | None = None, seconds: float = SECONDS) -> Forged:
    """The sound moved against the mouth by 0.3 s or more, either way; with `other`, a window of that in its place.

    Both clips hold the same `seconds` of the mouth (less where there is less), and as much sound; give a clip whose
    sound is longer. Crops stay as they are, so that the mask is empty. `other` has the rate of the clip's sound and
    should come from the same source, else rooms and microphones tell; of the two, the louder is turned down.

    Raises `ForgeError` without mouth or sound, at less than 1.3 s of talk (1 s of it under the mouth), where the
    level changes so much that no two windows are alike, and for another rate.
    """
    if clip.mouth is None or clip.sound is None:
        raise ForgeError("the clip has no sound, or no mouth to go with it")
    mouth, sound, source = clip.mouth, clip.sound, other or clip.sound
    if source.rate != sound.rate:
        raise ForgeError(f"the other sound has {source.rate} samples a second, the clip's {sound.rate}")
    first, last = talk(sound)
    seen = min(last, mouth.times[-1]) - max(first, mouth.times[0])
    length = min(seconds, seen, max(last - first - SLACK, SHORTEST))
    if length < SHORTEST or last - first < length + SHIFT:
        raise ForgeError(f"{last - first:.1f} s of talk, {seen:.1f} s of it under the mouth: too short")

    own = _starts(sound, mouth.times, length)
    own = own[own + length <= mouth.times[-1]]
    rise = float(np.median(np.diff(mouth.times)))
    others = _starts(source, np.arange(mouth.times[0] % rise, source.start + len(source.samples), rise), length)
    pairs = np.argwhere((np.abs(own[:, None] - others) >= SHIFT) | (other is not None))
    if not len(pairs):
        raise ForgeError("its level changes so much that no two stretches of talk are alike")
    kept, taken = pairs[rng.integers(len(pairs))]
    real = _window(sound, own[kept], length)
    fake = replace(_window(source, others[taken], length), start=real.start)
    if other is not None:
        real, fake = _levelled(real, fake)
    begin = int(np.searchsorted(mouth.times, own[kept]))
    window = slice(begin, int(np.searchsorted(mouth.times, own[kept] + length)))
    clip = replace(clip, mouth=Mouth(mouth.frames[window], mouth.times[window]))
    return Forged(replace(clip, sound=real), replace(clip, sound=fake), np.zeros(clip.crops.shape[:3], bool))


def talk(sound: Sound) -> tuple[float, float]:
    """When the sound begins and when it is over: silence at either edge, to a full 20 ms, is not part of it.

    Raises `ForgeError` where it is silent throughout.
    """
    step = max(1, sound.rate // 50)
    blocks = sound.samples[: len(sound.samples) // step * step].reshape(-1, step)
    power = np.mean(np.square(blocks, dtype=np.float64), 1)
    loud = np.flatnonzero(power > power.max(initial=0) * 10 ** (SILENCE / 10))
    if not len(loud):
        raise ForgeError("the sound is silent")
    return sound.start + (loud[0] + 1) * step / sound.rate, sound.start + loud[-1] * step / sound.rate


def _starts(sound: Sound, times: np.ndarray, length: float) -> np.ndarray:
    """Those of `times` from which on a window lies within the talk and is about as loud as all of it."""
    first, last = talk(sound)
    times = times[(times >= first) & (times + length <= last)]
    energy = np.concatenate([[0], np.cumsum(np.square(sound.samples, dtype=np.float64))])
    count, begin = round(length * sound.rate), _index(sound, times)
    power = (energy[begin + count] - energy[begin]) / count
    low, high = _index(sound, first), _index(sound, last)
    decibels = 10 * np.log10(np.maximum(power * (high - low) / (energy[high] - energy[low]), 1e-12))
    return times[np.abs(decibels) <= LEVEL]


def _index(sound: Sound, time: float | np.ndarray) -> np.ndarray:
    return np.rint((np.asarray(time) - sound.start) * sound.rate).astype(int)


def _window(sound: Sound, start: float, length: float) -> Sound:
    first = int(_index(sound, start))
    samples = sound.samples[first : first + round(length * sound.rate)]
    return replace(sound, samples=samples, start=sound.start + first / sound.rate)


def _levelled(one: Sound, other: Sound) -> tuple[Sound, Sound]:
    levels = [float(np.sqrt(np.mean(np.square(sound.samples, dtype=np.float64)))) for sound in (one, other)]
    first, second = (
        replace(sound, samples=sound.samples * np.float32(min(levels) / level))
        for sound, level in zip((one, other), levels, strict=True)
    )
    return first, second
