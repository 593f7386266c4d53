from __future__ import annotations

import numpy as np
import pytest

from interceptor.media.faces import Face
from interceptor.media.frames import Frame
from interceptor.media.tracks import FaceTrack, FaceTracker
from portraits import astronaut, background, detector, other_person, paste, placement


def follow(scenes: list[np.ndarray], **options: float) -> tuple[list[FaceTrack], FaceTracker]:
    tracker = FaceTracker(detector(), **options)
    for index, scene in enumerate(scenes):
        tracker.feed(Frame(index, index * 0.3, scene))
    return tracker.finish(), tracker


def walk(
    count: int, start: float, stop: float, side: float = 90, portrait: np.ndarray | None = None
) -> list[np.ndarray]:
    return [paste(background(), placement((x, 180), side), portrait) for x in np.linspace(start, stop, count)]


@pytest.mark.parametrize("every", [1, 2, 3])
def test_a_walking_face_is_one_track(every: int) -> None:
    scenes = walk(12, 250, 370)
    (track,), tracker = follow(scenes, every=every, context=True)
    assert [crop.frame for crop in track.crops] == list(range(12))
    assert [crop.time for crop in track.crops] == pytest.approx([0.3 * i for i in range(12)])
    expected = {i for i in range(12) if i % every == 0} | {11}
    assert {crop.frame for crop in track.crops if crop.detected} == expected
    assert tracker.frames_with_face == 12
    assert not tracker.failures
    assert tracker.detect_seconds > 0
    for crop, scene in zip(track.crops, scenes, strict=True):
        (face,) = detector()(scene)
        assert np.linalg.norm(face.landmarks - crop.landmarks, axis=1).mean() < 0.05 * crop.side
        assert np.abs(face.box - crop.box).max() < 0.15 * crop.side
        assert crop.image.shape == (224, 224, 3)
        assert crop.context.shape == (320, 320, 3)
        assert crop.image.dtype == crop.context.dtype == np.uint8


def test_growing_and_turning_is_carried() -> None:
    steps = np.linspace(0, 1, 9)
    scenes = [paste(background(), placement((300, 180), 80 + 50 * t, angle=-15 + 30 * t)) for t in steps]
    (track,), _ = follow(scenes)
    for crop in track.crops[1::2]:
        (face,) = detector()(scenes[crop.frame])
        assert not crop.detected
        assert np.linalg.norm(face.landmarks - crop.landmarks, axis=1).mean() < 0.05 * crop.side


def test_two_faces_that_cross_keep_their_identities() -> None:
    scenes = [
        paste(paste(background(), placement((x, 180), 80), other_person()), placement((640 - x, 180), 90), astronaut())
        for x in np.linspace(120, 520, 20)
    ]
    tracks, _ = follow(scenes)
    assert len(tracks) == 2
    for track in tracks:
        centers = [(crop.box[0] + crop.box[2]) / 2 for crop in track.crops]
        assert abs(centers[-1] - centers[0]) > 350  # it went all the way, rather than turn back where they met
        assert (np.diff(centers) * np.sign(centers[-1] - centers[0]) > 0).all()
    assert sum(len(track.crops) for track in tracks) >= 32


def test_a_face_that_leaves_ends_its_track_and_another_begins_its_own() -> None:
    empty = [background()] * 7
    tracks, tracker = follow([*walk(7, 100, 160), *empty, *walk(5, 500, 470, portrait=other_person())])
    assert [(track.crops[0].frame, track.crops[-1].frame) for track in tracks] == [(0, 6), (14, 18)]
    assert [track.id for track in tracks] == [0, 1]
    assert tracker.frames_with_face == 12


def test_a_missed_detection_does_not_end_a_track() -> None:
    scenes = walk(9, 200, 260)
    scenes[4] = background()
    (track,), _ = follow(scenes)
    assert [crop.frame for crop in track.crops] == [0, 1, 2, 6, 7, 8]


def test_a_cut_begins_a_new_track() -> None:
    other_scene = [paste(255 - background(), placement((300, 180), 95), other_person())] * 6
    tracks, _ = follow([*walk(6, 300, 300), *other_scene])
    assert sorted((track.crops[0].frame, track.crops[-1].frame) for track in tracks) == [(0, 4), (6, 11)]


def test_what_both_sides_disagree_on_is_dropped() -> None:
    scenes = walk(3, 300, 300)
    scenes[1] = np.random.default_rng(0).integers(0, 256, scenes[1].shape, np.uint8)
    (track,), tracker = follow(scenes)
    assert [crop.frame for crop in track.crops] == [0, 2]
    assert tracker.failures == {"face_not_followed": 1}
    assert tracker.frames_with_face == 2


def test_a_tiny_face_is_counted_as_too_small() -> None:
    tracks, tracker = follow(walk(3, 300, 300, side=33))
    assert tracks == []
    assert tracker.failures == {"face_too_small": 2}
    assert tracker.frames_with_face == 0


def test_an_uncertain_face_goes_on_with_a_track_but_begins_none() -> None:
    scene = paste(background(), placement((300, 180), 90))
    (face,) = detector()(scene)

    def run(*scores: float) -> tuple[list[FaceTrack], FaceTracker]:
        answers = iter(scores)
        tracker = FaceTracker(lambda rgb: [Face(face.box, face.landmarks, next(answers))], every=1)
        for index in range(len(scores)):
            tracker.feed(Frame(index, float(index), scene))
        return tracker.finish(), tracker

    (track,), tracker = run(0.55, 0.9, 0.55)
    assert [crop.frame for crop in track.crops] == [1, 2]
    assert tracker.failures == {"face_uncertain": 1}
    assert tracker.frames_with_face == 2


def test_no_more_faces_than_asked_for() -> None:
    scene = paste(paste(background(), placement((150, 180), 70)), placement((450, 180), 120), other_person())
    (track,), tracker = follow([scene] * 3, max_faces=1)
    assert (track.crops[0].box[0] > 320).all()
    assert tracker.failures == {"too_many_faces": 2}


def test_most_visible_first() -> None:
    both = paste(paste(background(), placement((150, 180), 70)), placement((450, 180), 140), other_person())
    tracks, _ = follow([*walk(4, 150, 150, side=70), both, both])
    assert [len(track.crops) for track in tracks] == [6, 2]


def test_no_frames_and_no_faces() -> None:
    assert follow([])[0] == []
    tracks, tracker = follow([background()] * 3)
    assert tracks == []
    assert not tracker.failures


def test_holds_only_the_frames_since_the_last_detection() -> None:
    held = []

    class Nothing:
        def __call__(self, rgb: np.ndarray) -> list[Face]:
            return []

    tracker = FaceTracker(Nothing(), every=4)
    for index in range(13):
        tracker.feed(Frame(index, float(index), background(20, 20)))
        held.append(len(tracker._pending))
    assert max(held) == 3


def test_every_must_be_positive() -> None:
    with pytest.raises(ValueError, match="every"):
        FaceTracker(detector(), every=0)
