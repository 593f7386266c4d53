"""Recipes: everything that decides a run beside its data. A default file, a file for each stage, settings on top."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from interceptor.lenses import LENSES
from interceptor.media.enhancement import STEPS

FOLDER = Path(__file__).parent / "recipes"
STAGES = ("faceforensics", "celebdf", "dfdc")
"""In the order of the chain."""
CODES = tuple(LENSES)

Loss = Literal["cross-entropy", "focal", "weighted-cross-entropy", "weighted-focal"]
Share = Field(ge=0, le=1)


class Recipe(BaseModel):
    """One run's settings; `recipes/default.toml` says what each key means."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    final: str
    starts_from: str
    backbone: Literal["efficientnet_b4", "efficientnet_lite0", "clip_vit_b16"]
    fusion: Literal["vector", "tokens"]
    freeze_backbone: bool
    lens_size: Literal[224, 112]
    dropout: tuple[float, float, float]
    epochs: int = Field(ge=1)
    lr: float = Field(gt=0)
    weight_decay: float = Field(ge=0)
    batch: int = Field(ge=2)
    accumulate: int = Field(ge=1)
    clip: float = Field(ge=0)
    ema: float = Field(ge=0, lt=1)
    seed: int = Field(ge=0)
    loss: Loss
    focal_alpha: float = Field(gt=0)
    focal_gamma: float = Field(ge=0)
    class_weights: tuple[float, float] | tuple[()]
    balance: bool
    epoch_samples: int = Field(ge=0)
    chunks: tuple[int, ...]
    validate_samples: int = Field(ge=0)
    flip: float = Share
    rotation: float = Field(ge=0, le=180)
    translate: float = Share
    perspective: float = Share
    jitter: float = Share
    brightness: float = Share
    blur: float = Share
    preprocessing: tuple[str, ...]
    precision: Literal["32", "bf16", "16"]
    channels_last: bool
    compile: bool
    norm_statistics: Literal["batch", "frozen"]
    workers: int = Field(ge=0)
    save_every: int = Field(ge=1)
    compress: bool

    @property
    def frozen(self) -> bool:
        """Whether only the head is trained; the foundation's backbone never is."""
        return self.freeze_backbone or self.backbone == "clip_vit_b16"

    @field_validator("precision", mode="before")
    @classmethod
    def _word(cls, given: object) -> str:
        return str(given)  # `--set precision=16` gives a number

    @field_validator("preprocessing")
    @classmethod
    def _known(cls, steps: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [name for name in steps if name not in STEPS]:
            raise ValueError(f"{unknown[0]!r} is no enhancement; choose from {', '.join(STEPS)}")
        return steps


def load_recipe(stage: str, settings: Sequence[str] = ()) -> Recipe:
    """The recipe of `stage` with `key=value` settings applied; the same for each specialist, whose own are its lens and
    its module.

    Raises `ValueError` naming the nearest valid stage or key, or the value that does not fit.
    """
    if stage not in STAGES:
        raise ValueError(f"{stage!r} is no stage" + _nearest(stage, STAGES))
    values = _read("default") | _read(stage)
    return _built(values, settings)


def override(recipe: Recipe, settings: Sequence[str]) -> Recipe:
    """`recipe` with `key=value` settings applied. Raises `ValueError` as `load_recipe` does."""
    return _built(recipe.model_dump(), settings)


def every_recipe() -> dict[tuple[str, str], Recipe]:
    """All of them by (specialist, stage)."""
    return {(code, stage): load_recipe(stage) for code in CODES for stage in STAGES}


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))


def _built(values: dict[str, Any], settings: Sequence[str]) -> Recipe:
    values = dict(values)
    for setting in settings:
        key, equals, text = setting.partition("=")
        key = key.strip()
        if key not in Recipe.model_fields:
            raise ValueError(f"{key!r} is no setting" + _nearest(key, tuple(Recipe.model_fields)))
        if not equals:
            raise ValueError(f"{setting!r}: expected {key}=value")
        values[key] = _value(text)
    try:
        return Recipe(**values)
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{first['loc'][0]}={first['input']!r}: {first['msg']}") from None


def _value(text: str) -> Any:
    """As TOML has it; anything else is a string."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text.strip()


def _nearest(name: str, valid: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, valid, 1)
    return f"; did you mean {near[0]!r}?" if near else f"; choose from {', '.join(valid)}"
