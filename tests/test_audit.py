from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from interceptor import cli
from interceptor.datasets.crops import Crop, read_crop, read_index
from interceptor.evaluation.audit import audit_pictures, audit_sounds, moved_mask, tell_apart
from interceptor.evaluation.audit_forgeries import audit_forgeries, originals
from interceptor.evaluation.traces import picture_traces
from interceptor.forges import audio_visual, registry
from interceptor.forges.blend import Forged, ForgeError
from interceptor.forges.codecs import jpeg
from interceptor.forges.pictures import ForgedPicture, forge
from interceptor.media.clips import FaceClip
from interceptor.training import augment
from test_forges import talking
from test_self_blend import picture
from tiny_data import write_crops


@pytest.fixture(scope="module")
def crops(tmp_path_factory: pytest.TempPathFactory) -> list[Crop]:
    return read_index(write_crops(tmp_path_factory.mktemp("authentic"), 40, authentic_only=True))


def leaking(clip: FaceClip, rng: np.random.Generator) -> Forged:
    """Codes the whole forgery again, not only what is inside the mask."""
    forged = registry.family("ll").forge(clip, rng)
    coded = np.stack([jpeg(crop, 60) for crop in forged.fake.crops])
    return Forged(forged.real, FaceClip(coded, clip.landmarks, clip.times), forged.mask)


def test_a_forge_that_changes_the_mask_alone_passes(crops: list[Crop]) -> None:
    found = audit_pictures(registry.family("rr").forge, crops, augment.draw)
    assert found["identical"] == found["pairs"] == 40
    assert found["before"]["auc"] == found["before"]["pair_auc"] == 0.5
    assert 0.4 < found["after"]["auc"] < 0.6


def test_faces_that_a_forge_refuses_are_counted(crops: list[Crop]) -> None:
    def choosy(clip: FaceClip, rng: np.random.Generator) -> Forged:
        if clip.crops.mean() > np.median(means):
            raise ForgeError("too bright")
        return registry.family("ll").forge(clip, rng)

    means = [read_crop(crop.path)[0].mean() for crop in crops]
    found = audit_pictures(choosy, crops, augment.draw)
    assert found["refused"] == {"too bright": 20}
    assert found["identical"] == found["pairs"] == 20


def test_a_forge_that_leaks_is_caught(crops: list[Crop]) -> None:
    found = audit_pictures(leaking, crops, augment.draw)
    assert found["identical"] == 0
    assert found["before"]["auc"] > 0.9
    assert found["after"]["pair_auc"] > 0.8
    assert not found["passed"]


def test_a_silence_at_the_edge_of_a_sound_is_caught() -> None:
    def padded(clip: FaceClip, rng: np.random.Generator) -> Forged:
        forged = audio_visual.forge(clip, rng)
        assert forged.fake.sound is not None
        forged.fake.sound.samples[:1600] = 0
        return forged

    clips = [(str(i), talking(5, i)) for i in range(10)]
    assert audit_sounds(padded, clips, draws=4)["sound"]["auc"] > 0.9
    silent = talking(1)
    sound = audit_sounds(audio_visual.forge, [*clips, ("short", silent)], draws=4)
    assert sound["clips"] == 10
    assert sum(sound["left_out"].values()) == 1


def test_pairs_are_told_by_what_differs_between_them_and_by_nothing_else() -> None:
    rng = np.random.default_rng(0)
    content = rng.normal(0, 5, (200, 12))
    names = [str(i // 2) for i in range(200)]
    same = tell_apart(content, content, names)
    assert same["auc"] == same["pair_auc"] == 0.5
    other = tell_apart(content, rng.normal(0, 5, (200, 12)), names)
    assert other["auc"] == pytest.approx(0.5, abs=0.1)
    assert other["intervals"]["auc"][0] < other["auc"] < other["intervals"]["auc"][1]
    told = content.copy()
    told[:, 3] = content[:, 3] + content[:, 4]
    told[:, 4] += 8
    found = tell_apart(content, told, names)
    assert found["auc"] > 0.8
    assert found["pair_auc"] > 0.9
    with pytest.raises(ValueError, match="2 origins"):
        tell_apart(content[:4], told[:4], names[:4])


def test_traces_do_not_see_beyond_their_region() -> None:
    image, region = picture(0), np.ones((224, 224), bool)
    region[60:180, 40:190] = False
    other = image.copy()
    other[~region] = picture(1)[~region]
    seen = [picture_traces(one, region) for one in (image, other)]
    assert seen[0] is not None
    np.testing.assert_array_equal(seen[0], seen[1])
    assert picture_traces(image, np.zeros((224, 224), bool)) is None


def test_the_mask_moves_with_the_augmentation() -> None:
    """What the augmentation makes of a changed face lies in the moved mask, but for what its codecs spread."""
    mask = np.zeros((224, 224), bool)
    mask[70:160, 60:150] = True
    for seed in range(12):
        image = picture(seed)
        changed = np.where(mask[..., None], 255 - image, image)
        step = augment.draw(np.random.default_rng(seed), 224)
        moved = moved_mask(mask, step)
        assert 0.8 * mask.mean() < moved.mean() < 2.2 * mask.mean()
        difference = np.abs(step(image).astype(int) - step(changed)).mean(-1)
        assert difference[moved].mean() > 10 * difference[~moved].mean()


def test_the_command_prints_what_was_found(tmp_path: Path) -> None:
    folder = write_crops(tmp_path / "set", 30)
    result = CliRunner().invoke(cli.app, ["audit", "forge", "bg", "--data", str(folder), "--format", "json"])
    found = json.loads(result.stdout)
    assert found["forge"] == "bg"
    assert found["pairs"] == found["identical"] == 30
    assert result.exit_code == (0 if found["passed"] else 1)
    for arguments, why in ((["xx", "--data", str(folder)], "no forge"), (["ll", "--data", str(tmp_path)], "no such")):
        wrong = CliRunner().invoke(cli.app, ["audit", "forge", *arguments])
        assert wrong.exit_code == 2
        assert why in wrong.stderr


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for i in range(12):
        Image.fromarray(picture(i)).save(folder / f"{i}.png")
    return folder


def test_a_forged_picture_is_not_told_outside_its_mask(pictures: Path) -> None:
    found = audit_forgeries("splice", originals(pictures), draws=2)
    assert found["identical"] == found["pairs"] == 24
    assert found["before"]["auc"] == found["before"]["pair_auc"] == 0.5
    assert 0.4 < found["after"]["auc"] < 0.6
    done = CliRunner().invoke(
        cli.app, ["audit", "pictures", "removal", str(pictures), "--draws", "1", "--format", "json"]
    )
    assert json.loads(done.stdout)["identical"] == json.loads(done.stdout)["pairs"]
    assert CliRunner().invoke(cli.app, ["audit", "pictures", "vanish", str(pictures)]).exit_code == 2


def test_a_picture_forge_that_leaks_is_caught(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from interceptor.evaluation import audit_forgeries as module

    def leaking(rgb: np.ndarray, rng: np.random.Generator, **options: Any) -> ForgedPicture:
        made = forge(rgb, rng, **options)
        return ForgedPicture(jpeg(made.image, 60), made.instances, made.kind)

    monkeypatch.setattr(module, "forge", leaking)
    found = audit_forgeries("retouch", originals(pictures), draws=2)
    assert found["identical"] == 0
    assert found["before"]["auc"] > 0.9
    assert not found["passed"]
