"""Copy-move: what was copied from where, within a picture or between several. Needs no training."""

from interceptor.detect.copymove.matcher import match, match_across
from interceptor.detect.copymove.result import Match, Region, instances

__all__ = ["Match", "Region", "instances", "match", "match_across"]
