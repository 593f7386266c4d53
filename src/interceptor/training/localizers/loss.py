"""The losses of the localizers: how far a map of logits is from where a picture was forged."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from interceptor.training.localizers.data import FULL, IGNORED
from interceptor.training.localizers.recipes import Loss


def focal_loss(logits: Tensor, truth: Tensor, judged: Tensor, alpha: float, gamma: float) -> Tensor:
    """Weighted focal loss (Lin et al., ICCV 2017), the mean over what is `judged` (0 or 1): cross-entropy times
    `|truth - p| ^ gamma`, times `alpha` for what is forged and `1 - alpha` for the rest. `truth` is 0..1.
    """
    share = alpha * truth + (1 - alpha) * (1 - truth)
    surprise = (truth - logits.sigmoid()).abs() ** gamma
    entropy = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    return (share * surprise * entropy * judged).sum() / judged.sum().clamp_min(1)


def dice_loss(logits: Tensor, truth: Tensor, judged: Tensor) -> Tensor:
    """`1 - (2 sum(p t) + 1) / (sum(p) + sum(t) + 1)` over what is `judged` (Milletari et al., 3DV 2016).

    Of the batch as a whole, so that what is called on authentic pictures costs as well.
    """
    probability = logits.sigmoid()
    both = (probability * truth * judged).sum()
    either = ((probability + truth) * judged).sum()
    return 1 - (2 * both + 1) / (either + 1)


def localisation_loss(logits: Tensor, targets: Tensor, loss: Loss) -> Tensor:
    """Weighted sum of both, of logits `[n, h, w]` against `targets` uint8 `[n, h, w]` as in `data`; ignored
    cells have no part in either.
    """
    judged = (targets != IGNORED).float()
    truth = targets.float().clamp(max=FULL) / FULL
    focal = focal_loss(logits, truth, judged, loss.alpha, loss.gamma)
    return loss.focal * focal + loss.dice * dice_loss(logits, truth, judged)
