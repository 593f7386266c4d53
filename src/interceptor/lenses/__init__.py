"""Lenses: a face clip in, what one specialist looks at out. Pure functions, no learning."""

from interceptor.lenses.abstain import Abstain
from interceptor.lenses.lens import Lens
from interceptor.lenses.table import LENSES

__all__ = ["LENSES", "Abstain", "Lens"]
