from __future__ import annotations

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

import interceptor
from interceptor.media.crops import crop_side
from interceptor.media.faces import FaceDetector, decode, overlap
from portraits import astronaut, background, detector, other_person, paste, placement

WEIGHTS = Path(interceptor.__file__).parent / "weights"


def known_landmarks() -> np.ndarray:
    (face,) = detector()(astronaut())
    return face.landmarks


def test_finds_the_astronaut() -> None:
    (face,) = detector()(astronaut())
    assert face.score > 0.8
    assert face.box.shape == (4,)
    assert face.landmarks.shape == (5, 2)
    assert face.box.dtype == face.landmarks.dtype == np.float32
    left_eye, right_eye, nose, left_mouth, right_mouth = face.landmarks
    assert left_eye[0] < nose[0] < right_eye[0]
    assert left_mouth[0] < right_mouth[0]
    assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])
    assert (face.box[:2] < face.landmarks).all()
    assert (face.landmarks < face.box[2:]).all()


@pytest.mark.parametrize("angle", [-25, 0, 25])
@pytest.mark.parametrize("side", [60, 160])
def test_landmarks_follow_rotation_and_scale(angle: float, side: float) -> None:
    matrix = placement((330, 170), side, angle)
    expected = known_landmarks() @ matrix[:, :2].T + matrix[:, 2]
    (face,) = detector()(paste(background(), matrix))
    assert np.linalg.norm(face.landmarks - expected, axis=1).mean() < 0.06 * side


@pytest.mark.parametrize("shape", [(1080, 1920), (1920, 1080), (333, 517), (90, 400)])
def test_any_frame_size(shape: tuple[int, int]) -> None:
    matrix = placement((shape[1] / 2, shape[0] / 2), 0.3 * min(shape) + 40)
    expected = known_landmarks() @ matrix[:, :2].T + matrix[:, 2]
    (face,) = detector()(paste(background(*shape), matrix))
    assert np.linalg.norm(face.landmarks - expected, axis=1).mean() < 0.06 * crop_side(face.landmarks)


def test_a_face_that_fills_a_large_picture() -> None:
    (face, *_) = detector()(cv2.resize(astronaut()[30:195, 145:310], (1200, 1200)))
    assert face.size > 800


def test_largest_first() -> None:
    scene = paste(paste(background(), placement((150, 180), 70)), placement((450, 180), 140), other_person())
    large, small = detector()(scene)
    assert large.size > small.size
    assert large.box[0] > 320 > small.box[2]


@pytest.mark.parametrize("value", [0, 127, 255])
def test_nothing_in_a_picture_of_one_colour(value: int) -> None:
    assert detector()(np.full((240, 320, 3), value, np.uint8)) == []


def test_nothing_in_a_picture_of_one_pixel() -> None:
    assert detector()(np.zeros((1, 1, 3), np.uint8)) == []


def test_compiles_once_for_each_shape() -> None:
    asked = []

    def compile_blind(shape: tuple[int, int, int, int]):
        asked.append(shape)
        rows, columns = shape[2] // 4, shape[3] // 4
        return lambda pixels: [np.zeros((1, count, rows, columns), np.float32) for count in (1, 2, 2, 10)]

    blind = FaceDetector(compile_blind, long_side=320)
    for _ in range(2):
        assert blind(background(720, 1280)) == []
    assert asked == [(1, 3, 192, 320), (1, 3, 96, 160)]


def test_decode_places_and_suppresses() -> None:
    heat, sizes, offsets = (
        np.zeros((20, 30), np.float32),
        np.zeros((2, 20, 30), np.float32),
        np.zeros((2, 20, 30), np.float32),
    )
    landmarks = np.zeros((10, 20, 30), np.float32)
    heat[8, 10], heat[8, 11], heat[15, 25] = 0.9, 0.8, 0.7
    sizes[0], sizes[1] = np.log(10), np.log(5)  # 40 high, 20 wide
    landmarks[0::2], landmarks[1::2] = 0.25, 0.5
    first, second = decode(heat, sizes, offsets, landmarks, 0.5)
    np.testing.assert_allclose(first.box, [32, 14, 52, 54], atol=1e-4)
    np.testing.assert_allclose(first.landmarks, [[42, 24]] * 5, atol=1e-4)
    assert (round(first.score, 3), round(second.score, 3)) == (0.9, 0.7)


def test_overlap() -> None:
    a, b, c = np.array([0, 0, 2, 2.0]), np.array([1, 0, 3, 2.0]), np.array([5, 5, 6, 6.0])
    assert overlap(a, a) == 1
    assert overlap(a, b) == pytest.approx(1 / 3)
    assert overlap(a, c) == 0


def test_the_card_names_this_network() -> None:
    card = json.loads((WEIGHTS / "centerface.json").read_text())
    assert card["files"]["centerface.onnx"] == hashlib.sha256((WEIGHTS / "centerface.onnx").read_bytes()).hexdigest()
    assert card["licence"] == "MIT"
    assert "MIT License" in (WEIGHTS / "centerface.LICENSE").read_text()
