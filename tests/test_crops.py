from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interceptor.media.crops import CONTEXT_SCALE, CROP_SIZE, TEMPLATE, crop_side, cut, similarity
from portraits import astronaut, background, detector, paste, placement

VIDEOS = Path(__file__).parents[2] / "shared" / "data" / "videos"


def moved(scale: float, angle: float, shift: tuple[float, float]) -> np.ndarray:
    """The template's landmarks, scaled (pixels per side), turned (degrees) and moved."""
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    return TEMPLATE @ (scale * np.array([[c, s], [-s, c]])) + np.array(shift)


@given(
    scale=st.floats(5, 5000),
    angle=st.floats(-180, 180),
    shift=st.tuples(st.floats(-5000, 5000), st.floats(-5000, 5000)),
)
def test_similarity_undoes_any_similarity(scale: float, angle: float, shift: tuple[float, float]) -> None:
    landmarks = moved(scale, angle, shift)
    matrix = similarity(landmarks)
    np.testing.assert_allclose(landmarks @ matrix[:, :2].T + matrix[:, 2], TEMPLATE * CROP_SIZE, atol=0.05)
    assert crop_side(landmarks) == pytest.approx(scale, rel=1e-3)


def test_similarity_is_the_least_squares_one() -> None:
    rng = np.random.default_rng(0)
    landmarks = moved(100, 20, (30, 40)) + rng.normal(0, 5, (5, 2))
    design = np.zeros((10, 4))  # x' = a x - b y + c, y' = b x + a y + d
    design[0::2] = np.column_stack([landmarks[:, 0], -landmarks[:, 1], np.ones(5), np.zeros(5)])
    design[1::2] = np.column_stack([landmarks[:, 1], landmarks[:, 0], np.zeros(5), np.ones(5)])
    a, b, c, d = np.linalg.lstsq(design, (TEMPLATE * CROP_SIZE).astype(float).ravel(), rcond=None)[0]
    np.testing.assert_allclose(similarity(landmarks), [[a, -b, c], [b, a, d]], atol=1e-8)


@pytest.mark.parametrize("landmarks", [np.full((5, 2), 3.0), np.full((5, 2), np.nan)])
def test_similarity_refuses_what_has_no_size(landmarks: np.ndarray) -> None:
    with pytest.raises(ValueError, match="landmarks"):
        similarity(landmarks)


@pytest.mark.parametrize(("side", "angle"), [(70, 0), (70, 30), (224, 0), (500, -20), (900, 10)])
def test_cut_puts_pixels_where_similarity_says(side: float, angle: float) -> None:
    landmarks = moved(side, angle, (700, 300))
    frame = np.zeros((1400, 1700, 3), np.uint8)
    for point in landmarks:
        center = np.round((point - 0.5) * 16).astype(int).tolist()  # in sixteenths of a pixel
        cv2.circle(frame, center, max(48, int(side / 25 * 16)), (255, 255, 255), -1, shift=4)
    crop = cut(frame, landmarks).astype(float)[..., 0]
    rows, columns = np.mgrid[:CROP_SIZE, :CROP_SIZE] + 0.5
    for x, y in TEMPLATE * CROP_SIZE:
        near = crop * (np.hypot(columns - x, rows - y) < 18)
        assert np.hypot((near * columns).sum() / near.sum() - x, (near * rows).sum() / near.sum() - y) < 1.0


def test_cut_without_change_is_exact() -> None:
    frame = astronaut()
    landmarks = TEMPLATE.astype(float) * CROP_SIZE + [100, 50]
    difference = cut(frame, landmarks).astype(int) - frame[50:274, 100:324]
    assert np.abs(difference).max() <= 1


def test_shrinking_does_not_alias() -> None:
    rows, columns = np.mgrid[:2000, :2000]
    checks = np.where((rows + columns) % 2, 255, 0).astype(np.uint8)
    crop = cut(np.repeat(checks[..., None], 3, 2), moved(1000, 7, (500, 500)))
    assert crop.std() < 8
    assert abs(crop.mean() - 127.5) < 2


def test_context_is_wider_about_the_same_centre() -> None:
    scene = paste(background(), placement((320, 180), 90))
    (face,) = detector()(scene)
    crop, context = cut(scene, face.landmarks, 100), cut(scene, face.landmarks, 250, CONTEXT_SCALE)
    assert context.shape == (250, 250, 3)
    assert np.abs(context[75:175, 75:175].astype(int) - crop).mean() < 2


def test_border_is_replicated() -> None:
    frame = np.full((50, 50, 3), (10, 200, 90), np.uint8)
    for where in ((-20, -20), (40, 40), (400, -300)):
        assert (cut(frame, moved(60, 15, where)) == (10, 200, 90)).all()


def test_a_turned_face_stands_upright() -> None:
    scene = paste(background(), placement((320, 180), 150, angle=20))
    (face,) = detector()(scene)
    crop = cut(scene, face.landmarks)
    (again,) = detector()(cv2.copyMakeBorder(crop, *[80] * 4, cv2.BORDER_CONSTANT))
    eyes = again.landmarks[1] - again.landmarks[0]
    assert abs(np.degrees(np.arctan2(eyes[1], eyes[0]))) < 4


@pytest.mark.skipif(not VIDEOS.is_dir(), reason=f"clips are missing: {VIDEOS}")
def test_crops_of_clips_are_framed_as_the_training_crops() -> None:
    """Landmarks found again in crops of clips lie where they lie in the training crops, within 3 % of the side."""
    from interceptor.media.frames import FrameReader
    from interceptor.media.probe import probe

    found = []
    for folder in ("faceforensics", "celebdf", "dfdc", "silent", "two_people"):
        for path in sorted((VIDEOS / folder).rglob("*.mp4")):
            for frame in FrameReader(path, probe(path), 2):
                for face in detector()(frame.rgb):
                    bordered = cv2.copyMakeBorder(cut(frame.rgb, face.landmarks), *[80] * 4, cv2.BORDER_CONSTANT)
                    found += [
                        (inner.landmarks - 80) / CROP_SIZE for inner in detector()(bordered)[:1] if inner.size > 112
                    ]
    assert len(found) > 40
    assert np.linalg.norm(np.array(found) - TEMPLATE, axis=-1).mean() < 0.03
    assert np.linalg.norm(np.mean(found, 0) - TEMPLATE, axis=-1).max() < 0.03
