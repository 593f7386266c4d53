"""Sound and lips: the real sound, moved in time or taken from somebody else, under the real mouth.

Both windows of a pair have one length and are stretches of talk under a seen mouth, of about one level, drawn alike:
which of the two goes with the lips is the toss of a coin, so that nothing about a sound alone can tell. (Windows moved
to where no mouth was seen could: a file begins and ends with pauses, and its faces are cut from between.)
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from interceptor.forges.blend import Forged, ForgeError
from interceptor.media.clips import FaceClip, Mouth, Sound

SECONDS = 2.6
"""Length of a window: what a scan looks at."""
SHORTEST = 1.0
"""Length of a window of a short clip, at least."""
SHIFT = 0.3
"""Seconds between two windows of one sound, at least."""
IN_REACH = 0.6
"""Half of the shifts are by so much at most: the lens shows the true lag off its middle."""
MARGIN = 0.6
"""Seconds of sound kept on both sides of a window, where both of a pair have them: the lens looks for later lags."""
SLACK = 0.6
"""Seconds of talk beyond the window that a window is shortened for, so that places can differ."""
LEVEL = 4.0
"""Decibels by which a window may be louder or quieter than the whole talk: it is no pause."""
SILENCE = -50.0
"""Decibels, against the loudest 20 ms, below which a sound has not begun or is over."""


def forge(clip: FaceClip, rng: np.random.Generator, other: FaceClip | None = None, seconds: float = SECONDS) -> Forged:
    """The sound moved against the mouth by 0.3 s or more, either way; with `other`, a window of that one's instead.

    Both clips hold the same `seconds` of the mouth (less where there is less) and as much sound, with up to `MARGIN`
    more on both sides; give clips that are longer, best by twice, for shifts to differ. Crops stay as they are, so that
    the mask is empty. `other` should come from the same source, else rooms and microphones tell; of the two sounds the
    louder is turned down.

    Raises `ForgeError` without mouth or sound, at less than 1.3 s of talk under the mouth (1 s for a swap), where the
    level changes so much that no two windows are alike, and where the two sounds have two rates.
    """
    own = _Talk.of(clip)
    source = own if other is None else _Talk.of(other)
    shortest = min(own.seconds, source.seconds)
    length = min(seconds, max(shortest - SLACK, SHORTEST))
    if shortest < length + (SHIFT if other is None else 0):
        raise ForgeError(f"{shortest:.1f} s of talk under the mouth: too short")
    if source.sound.rate != own.sound.rate:
        raise ForgeError(f"the other sound has {source.sound.rate} samples a second, the clip's {own.sound.rate}")

    starts, others = own.starts(length), source.starts(length)
    apart = np.abs(starts[:, None] - others)
    pairs = np.argwhere((apart >= SHIFT) | (other is not None))
    near = np.argwhere((apart >= SHIFT) & (apart <= IN_REACH))
    if other is None and len(near) and rng.random() < 0.5:
        pairs = near
    if not len(pairs):
        raise ForgeError("its level changes so much that no two stretches of talk are alike")
    kept, taken = pairs[rng.integers(len(pairs))]
    ends = zip(own.around(starts[kept], length), source.around(others[taken], length), strict=True)
    before, after = (min(*both, MARGIN) for both in ends)
    real = _window(own.sound, starts[kept] - before, before + length + after)
    fake = replace(_window(source.sound, others[taken] - before, before + length + after), start=real.start)
    if other is not None:
        real, fake = _levelled(real, fake)
    begin, end = np.searchsorted(own.mouth.times, [starts[kept], starts[kept] + length])
    clip = replace(clip, mouth=Mouth(own.mouth.frames[begin:end], own.mouth.times[begin:end]))
    return Forged(replace(clip, sound=real), replace(clip, sound=fake), np.zeros(clip.crops.shape[:3], bool))


@dataclass(frozen=True)
class _Talk:
    """Where a clip has both the mouth and its sound."""

    mouth: Mouth
    sound: Sound
    first: float
    last: float

    @classmethod
    def of(cls, clip: FaceClip) -> _Talk:
        if clip.mouth is None or clip.sound is None:
            raise ForgeError("the clip has no sound, or no mouth to go with it")
        first, last = talk(clip.sound)
        return cls(clip.mouth, clip.sound, max(first, clip.mouth.times[0]), min(last, clip.mouth.times[-1]))

    @property
    def seconds(self) -> float:
        return max(0.0, self.last - self.first)

    def around(self, start: float, length: float) -> tuple[float, float]:
        """Seconds of sound before and after such a window, silence at its edges left out."""
        first, last = talk(self.sound)
        return start - first, last - start - length

    def starts(self, length: float) -> np.ndarray:
        """The times of mouth frames from which on a window is about as loud as all of the talk."""
        sound, times = self.sound, self.mouth.times
        times = times[(times >= self.first) & (times + length <= self.last)]
        energy = np.concatenate([[0], np.cumsum(np.square(sound.samples, dtype=np.float64))])
        count, begin = round(length * sound.rate), _index(sound, times)
        power = (energy[begin + count] - energy[begin]) / count
        low, high = _index(sound, self.first), _index(sound, self.last)
        decibels = 10 * np.log10(np.maximum(power * (high - low) / (energy[high] - energy[low]), 1e-12))
        return times[np.abs(decibels) <= LEVEL]


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
