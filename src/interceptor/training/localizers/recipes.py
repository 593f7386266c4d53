"""The six localizers as data: what each is trained on, by which loss, for how long, and its say in the ensemble.

Numbers that both tiers share stand once. The full tier trains networks on pictures, in epochs; the standard tier trains
decoders on cached tokens, in steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Tier(StrEnum):
    standard = "standard"
    full = "full"


@dataclass(frozen=True)
class Loss:
    """`focal` times the focal loss of `alpha` and `gamma`, plus `dice` times the Dice loss."""

    alpha: float
    gamma: float
    focal: float
    dice: float


@dataclass(frozen=True)
class Schedule:
    """How one tier trains a member."""

    lr: float
    length: int
    """Epochs of the full tier, steps of the standard one."""
    start: str = ""
    """The member whose weights it begins with; "" for none."""


@dataclass(frozen=True)
class Member:
    """One localizer."""

    loss: Loss
    full: Schedule
    standard: Schedule | None = None
    """None: of the full tier only."""
    weight: float = 0.0
    """In the weighted mean of the ensemble, or"""
    union: float = 0.0
    """the factor at which its probability counts where it is more than that mean."""
    below: float = 1.0
    """Forgeries that cover more than this share are left out."""
    draws: tuple[tuple[str, float], ...] = ()
    """What is drawn more often, and how many times as often: `area<SHARE`, `negatives` or `misses` (see
    `mining`).
    """
    error_levels: bool = False
    """Error level analysis as a fourth channel."""
    strong: bool = False
    """Copy-paste forgeries, affine maps, noise, blur, JPEG and coarse dropout beside the augmentation of all."""
    zoomed: bool = False
    """Sees a part of the picture around the forgery, enlarged."""

    def schedule(self, tier: Tier) -> Schedule:
        """Raises `ValueError` for the standard tier of a member that is of the full one only."""
        if tier is Tier.full:
            return self.full
        if self.standard is None:
            raise ValueError("this member is of the full tier only: train it with --tier full")
        return self.standard


BASE = "highres_no_ela"
"""The member whose mistakes are mined."""
_BASE_LOSS, _PRECISE = Loss(0.75, 3, 0.7, 0.3), Loss(0.25, 2, 0.7, 0.3)

MEMBERS = {
    "highres_no_ela": Member(
        _BASE_LOSS, Schedule(3e-4, 30), Schedule(2e-3, 350), weight=1.5, draws=(("area<0.03", 3),)
    ),
    "hard_negative": Member(
        _PRECISE, Schedule(1e-4, 30, BASE), Schedule(3e-4, 100, BASE), weight=1.2, draws=(("negatives", 2),)
    ),
    "high_recall": Member(
        Loss(0.5, 2.5, 1, 1), Schedule(1e-4, 30, BASE), Schedule(3e-4, 100, BASE), weight=1.0, draws=(("misses", 5),)
    ),
    "enhanced_aug": Member(_PRECISE, Schedule(1e-4, 30), weight=0.8, strong=True),
    "comprehensive": Member(_BASE_LOSS, Schedule(3e-4, 30), weight=0.5, error_levels=True),
    "small_forgery": Member(
        Loss(0.85, 4, 0.8, 0.2),
        Schedule(1e-4, 40),
        Schedule(3e-4, 100, BASE),
        union=0.8,
        below=0.02,
        draws=(("area<0.005", 5),),
        zoomed=True,
    ),
}
STANDARD = tuple(name for name, member in MEMBERS.items() if member.standard)


def member(name: str) -> Member:
    """Raises `ValueError` naming the members there are."""
    if name not in MEMBERS:
        raise ValueError(f"no member {name!r}; choose from {', '.join(MEMBERS)}")
    return MEMBERS[name]
