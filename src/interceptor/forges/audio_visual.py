"""Sound and lips: the real sound, moved in time or taken from somebody else, under the real mouth.

Both windows of a pair have one length and are cut out of the same longer sound, at places drawn alike: which of the
two goes with the lips is the toss of a coin, so that nothing about a sound alone can tell.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from interceptor.forges.blend import Forged, ForgeError
from interceptor.media.clips import FaceClip, Mouth, Sound

SECONDS = 2.0
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

    Both clips hold the same `seconds` of the mouth (less where there is less), and as much sound; give a clip of
    more than that. Crops stay as they are, so that the mask is empty. `other` has the rate of the clip's sound and
    should come from the same source, else rooms and microphones tell; of the two, the louder is turned down.

    Raises `ForgeError` without mouth or sound, at less than 1.3 s of talk under the mouth, where the level changes so
    much that no two windows are alike, and for another rate.
    """
    if clip.mouth is None or clip.sound is None:
        raise ForgeError("the clip has no sound, or no mouth to go with it")
    mouth, sound = clip.mouth, clip.sound
    if other is not None and other.rate != sound.rate:
        raise ForgeError(f"the other sound has {other.rate} samples a second, the clip's {sound.rate}")
    first, last = talk(sound)
    first, last = max(first, mouth.times[0]), min(last, mouth.times[-1])
    length = min(seconds, max(last - first - SLACK, SHORTEST))
    if last - first < length + SHIFT:
        raise ForgeError(f"{max(0.0, last - first):.1f} s of talk under the mouth, {SHORTEST + SHIFT} are needed")

    count = int(np.searchsorted(mouth.times, first + length)) - int(np.searchsorted(mouth.times, first))
    starts = np.flatnonzero(mouth.times >= first)
    starts = starts[mouth.times[starts] + length <= last]
    starts = starts[_even(sound, mouth.times[starts], length)]
    if other is None:
        apart = np.abs(mouth.times[starts][:, None] - mouth.times[starts]) >= SHIFT
        pairs = np.argwhere(apart)
        if not len(pairs):
            raise ForgeError("the sound's level changes so much that no two windows are alike")
        kept, moved = starts[pairs[rng.integers(len(pairs))]]
        source, when = sound, mouth.times[moved]
    else:
        begin, end = talk(other)
        whens = np.arange(begin, end - length, 0.04)
        whens = whens[_even(other, whens, length)]
        if not len(starts) or not len(whens):
            raise ForgeError("the sound's level changes so much, or the other is so short, that no window is typical")
        kept, when, source = rng.choice(starts), rng.choice(whens), other
    window = slice(int(kept), int(kept) + count)
    real = _window(sound, mouth.times[kept], length)
    fake = replace(_window(source, when, length), start=real.start)
    if other is not None:
        real, fake = _levelled(real, fake)
    clip = replace(clip, mouth=Mouth(mouth.frames[window], mouth.times[window]))
    return Forged(replace(clip, sound=real), replace(clip, sound=fake), np.zeros(clip.crops.shape[:3], bool))


def talk(sound: Sound) -> tuple[float, float]:
    """When the sound begins and when it is over: silence at either edge is not part of it.

    Raises `ForgeError` where it is silent throughout.
    """
    step = max(1, sound.rate // 50)
    blocks = sound.samples[: len(sound.samples) // step * step].reshape(-1, step)
    power = np.mean(np.square(blocks, dtype=np.float64), 1)
    loud = np.flatnonzero(power > power.max(initial=0) * 10 ** (SILENCE / 10))
    if not len(loud):
        raise ForgeError("the sound is silent")
    return sound.start + loud[0] * step / sound.rate, sound.start + (loud[-1] + 1) * step / sound.rate


def _even(sound: Sound, starts: np.ndarray, length: float) -> np.ndarray:
    """bool[k]: the window from there on is about as loud as the talk."""
    energy = np.concatenate([[0], np.cumsum(np.square(sound.samples, dtype=np.float64))])

    def power(first: np.ndarray, last: np.ndarray) -> np.ndarray:
        return (energy[last] - energy[first]) / np.maximum(last - first, 1)

    first = _index(sound, starts)
    whole = _index(sound, np.array(talk(sound)))
    ratio = power(first, first + round(length * sound.rate)) / power(whole[:1], whole[1:])
    return np.abs(10 * np.log10(np.maximum(ratio, 1e-12))) <= LEVEL


def _index(sound: Sound, time: np.ndarray) -> np.ndarray:
    return np.rint((np.asarray(time) - sound.start) * sound.rate).astype(int)


def _window(sound: Sound, start: float, length: float) -> Sound:
    first = int(_index(sound, np.array(start)))
    samples = sound.samples[first : first + round(length * sound.rate)]
    return Sound(samples, sound.rate, sound.start + first / sound.rate)


def _levelled(one: Sound, other: Sound) -> tuple[Sound, Sound]:
    levels = [float(np.sqrt(np.mean(np.square(sound.samples, dtype=np.float64)))) for sound in (one, other)]
    first, second = (
        replace(sound, samples=sound.samples * np.float32(min(levels) / level))
        for sound, level in zip((one, other), levels, strict=True)
    )
    return first, second
