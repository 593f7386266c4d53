"""What processing leaves in pictures and sounds, as plain numbers: the eyes of the leak audit."""

from __future__ import annotations

import io

import cv2
import numpy as np
from PIL import Image

from interceptor.media.clips import Sound

BLOCK = 8
_k = np.arange(BLOCK)
_DCT = np.cos(np.pi * (2 * _k + 1) * _k[:, None] / (2 * BLOCK)) * np.where(_k, 0.5, 8**-0.5)[:, None]
_BANDS = np.add.outer(_k, _k)


def picture_traces(rgb: np.ndarray, region: np.ndarray) -> np.ndarray | None:
    """Float64[n] of the pixels in `region` bool[H, W] of a picture uint8[H, W, 3] alone; None where it is too small.

    Intensity and colour; the noise residual's histogram and its level by block; differences by their place in the 8 x 8
    grid; size and sparsity of the DCT coefficients; and how well the region compresses.
    """
    core = cv2.erode(region.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=1) > 0  # what filters keep within
    whole = _blocks(core).all((1, 2))
    if whole.sum() < 10 or core.sum() < 500:
        return None
    ycc = cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb).astype(np.float32)
    luma = ycc[..., 0]
    residual = ycc - cv2.blur(ycc, (3, 3), borderType=cv2.BORDER_REPLICATE)
    noise = residual[core]
    intensity = np.histogram(luma[region], 16, (0, 256))[0] / region.sum()
    histogram = np.histogram(np.clip(noise[:, 0], -8.4, 8.4), 17, (-8.5, 8.5))[0] / len(noise)
    colour = np.concatenate([ycc[region].mean(0), ycc[region].std(0), _log(np.abs(noise).mean(0))])
    blocks = _blocks(residual[..., 0])[whole].std((1, 2))
    coefficients = np.abs(_DCT @ (_blocks(luma)[whole] - 128) @ _DCT.T)
    sparsity = [(coefficients[:, band == _BANDS] < 0.5).mean() for band in range(1, 2 * BLOCK - 1)]
    return np.concatenate(
        [
            intensity,
            histogram,
            colour,
            _log(np.quantile(blocks, [0.1, 0.5, 0.9])),
            _phases(luma, region),
            _phases(luma.T, region.T),
            _log(coefficients.mean(0).ravel()),
            sparsity,
            _log(np.array(_sizes(rgb, region)) / region.sum()),
        ]
    )


def sound_traces(sound: Sound) -> np.ndarray:
    """Float64[n] of a sound without its picture: level, both edges (silence, clicks), zeros, envelope, spectrum."""
    x = sound.samples.astype(np.float64)
    level = np.sqrt(np.mean(x**2))
    steps = np.abs(np.diff(x))
    edges = []
    for ends in (x, x[::-1]):
        edges += [np.sqrt(np.mean(ends[: round(sound.rate * t)] ** 2)) / level for t in (0.005, 0.02, 0.05, 0.1, 0.3)]
    clicks = [part.max() / np.sqrt(np.mean(steps**2)) for part in (steps[:80], steps[-80:], steps)]
    envelope = [np.sqrt(np.mean(part**2)) / level for part in np.array_split(x, 8)]
    width = round(0.025 * sound.rate)
    windows = x[: len(x) // width * width].reshape(-1, width) * np.hanning(width)
    bands = np.array_split(np.log(np.abs(np.fft.rfft(windows)) ** 2 + 1e-9), 16, axis=1)
    spectrum = [value for band in bands for value in (band.mean(), band.mean(1).std())]
    shape = [np.log(level), x.mean() / level, np.abs(x).max() / level, np.mean(x == 0)]
    return np.array([*_log(np.array(edges)), *_log(np.array(clicks)), *envelope, *shape, *spectrum])


def _blocks(plane: np.ndarray) -> np.ndarray:
    """[H, W] to [n, 8, 8], from the corner, what is left over dropped."""
    rows, columns = (side // BLOCK for side in plane.shape)
    cut = plane[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK)
    return cut.swapaxes(1, 2).reshape(-1, BLOCK, BLOCK)


def _phases(luma: np.ndarray, region: np.ndarray) -> np.ndarray:
    """How much of the differences along rows stands at each of the 8 places of the grid."""
    both = region[:, 1:] & region[:, :-1]
    steps = np.abs(np.diff(luma, axis=1)) * both
    found = np.array([steps[:, k::BLOCK].sum() / max(both[:, k::BLOCK].sum(), 1) for k in range(BLOCK)])
    return found / max(found.mean(), 1e-3)


def _sizes(rgb: np.ndarray, region: np.ndarray) -> list[int]:
    """Bytes as JPEG and as PNG, the rest of the picture levelled."""
    level = np.rint(rgb[region].mean(0)).astype(np.uint8)
    picture = Image.fromarray(np.where(region[..., None], rgb, level))
    sizes = []
    for kind, options in (("JPEG", {"quality": 95}), ("PNG", {"compress_level": 1})):
        buffer = io.BytesIO()
        picture.save(buffer, kind, **options)
        sizes.append(buffer.tell())
    return sizes


def _log(values: np.ndarray) -> np.ndarray:
    return np.log(values + 0.01)
