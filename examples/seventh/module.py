"""CA: the convolutions that read the lens."""

from __future__ import annotations

from interceptor.models.branches import Branch, ModuleSpec

MODULE = ModuleSpec("ca", (Branch("fringe", 12, 3), Branch("edge", 8, 5), Branch("shift", 10, 7)))
