from __future__ import annotations

import cv2
import numpy as np
import pytest

from interceptor.media.probe import AudioTrack, MediaInfo
from interceptor.media.quality import (
    bits_per_pixel,
    blockiness,
    luma,
    measure_quality,
    noise,
    sharpness,
    upscaling,
)

RNG = np.random.default_rng(0)


def natural(height: int, width: int) -> np.ndarray:
    """uint8[H, W] whose power falls with the square of the frequency, up to the finest."""
    y, x = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    frequency = np.hypot(y, x)
    frequency[0, 0] = 1
    field = np.fft.irfft2(np.fft.rfft2(RNG.normal(size=(height, width))) / frequency, s=(height, width))
    return np.clip(128 + 40 * field / field.std(), 0, 255).astype(np.uint8)


def info(**changes: object) -> MediaInfo:
    facts: dict[str, object] = {
        "kind": "video",
        "container": "mp4",
        "codec": "h264",
        "pixel_format": "yuv420p",
        "bit_depth": 8,
        "width": 100,
        "height": 50,
        "rotation": 0,
        "duration": 2.0,
        "frames": 50,
        "frame_rate": 25.0,
        "constant_frame_rate": True,
        "bit_rate": 125_000,
        "audio": (),
        "size": 31_250,
    }
    return MediaInfo(**(facts | changes))  # type: ignore[arg-type]


def test_luma_of_pure_colours() -> None:
    assert luma(np.full((4, 4, 3), (255, 0, 0), np.uint8)).mean() == pytest.approx(76, abs=1)
    assert luma(np.full((4, 4, 3), 200, np.uint8)).mean() == 200


def test_blockiness_sees_the_grid_and_only_at_its_place() -> None:
    plain = natural(256, 320)
    blocks = cv2.resize(cv2.resize(plain, (40, 32), interpolation=cv2.INTER_AREA), (320, 256), interpolation=0)
    blocky = cv2.addWeighted(plain, 0.3, blocks, 0.7, 0)
    assert blockiness(plain) == pytest.approx(1, abs=0.05)
    assert blockiness(blocky) > 1.5
    assert blockiness(blocky[3:, 3:]) < 1
    assert blockiness(np.full((64, 64), 9, np.uint8)) == 1
    assert blockiness(plain[:10]) == 1


def test_stronger_jpeg_is_blockier() -> None:
    plain = natural(256, 320)
    found = []
    for level in (95, 30, 5):
        coded = cv2.imencode(".jpg", plain, [cv2.IMWRITE_JPEG_QUALITY, level])[1]
        found.append(blockiness(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE)))
    assert found == sorted(found)
    assert found[-1] > 1.3


@pytest.mark.parametrize("scale", [1.0, 1.5, 2.0, 3.0])
def test_upscaling_is_found(scale: float) -> None:
    small = natural(300, 400)
    large = cv2.resize(small, None, fx=scale, fy=scale, interpolation=cv2.INTER_LANCZOS4)
    assert upscaling(large) == pytest.approx(scale, rel=0.15)


def test_upscaling_of_a_flat_frame() -> None:
    assert upscaling(np.zeros((50, 50), np.uint8)) == 1


@pytest.mark.parametrize("sigma", [2, 5, 10])
def test_noise_is_its_standard_deviation(sigma: float) -> None:
    frame = np.clip(RNG.normal(128, sigma, (200, 200)), 0, 255).round().astype(np.uint8)
    assert noise(frame) == pytest.approx(sigma, rel=0.06)
    ramp = np.tile(np.arange(200, dtype=np.uint8), (200, 1))
    assert noise(ramp) < 0.05


def test_blur_is_less_sharp() -> None:
    frame = natural(200, 200)
    assert sharpness(cv2.GaussianBlur(frame, (0, 0), 2)) < 0.2 * sharpness(frame)


def test_bits_per_pixel() -> None:
    assert bits_per_pixel(info()) == pytest.approx(1.0)
    assert bits_per_pixel(info(kind="picture", size=5_000)) == pytest.approx(8.0)
    assert bits_per_pixel(info(bit_rate=None)) is None


def test_a_file_is_measured_by_medians() -> None:
    frames = [np.full((32, 32, 3), level, np.uint8) for level in (10, 20, 200)]
    track = AudioTrack(codec="aac", sample_rate=48_000, channels=2, duration=2.0)
    quality = measure_quality(frames, info(audio=(track,)), [80, 90, 300])
    assert (quality.luma, quality.face_size, quality.frames, quality.sound) == (20, 90, 50, True)
    assert measure_quality([], info()).luma is None
