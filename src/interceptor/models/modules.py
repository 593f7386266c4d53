"""The modules of the six specialists: one row each."""

from __future__ import annotations

from interceptor.models.branches import Branch, ModuleSpec
from interceptor.models.statistics import ILLUMINATION

_ROWS = (
    ModuleSpec(
        "ll",
        (
            Branch("luminance_3", 16, 3, kind="plain"),
            Branch("luminance_5", 16, 5, kind="plain"),
            Branch("luminance_7", 16, 7, kind="plain"),
            Branch("noise", 12, 5),
            Branch("shadow", 8, 7),
        ),
    ),
    ModuleSpec(
        "bg",
        (
            Branch("texture", 16, 7),
            Branch("lighting", 12, 5),
            Branch("shadow", 8, 9),
            Branch("colour_temperature", 8, 3),
        ),
        statistics=ILLUMINATION,
    ),
    ModuleSpec(
        "av",
        (
            Branch("lip_sync", 16, 5),
            Branch("voice_frequency", 12, 7),
            Branch("correlation", 10, 3),
            Branch("temporal_audio", 10, 9),
        ),
        reads_lags=True,
    ),
    ModuleSpec(
        "cm",
        (
            Branch("dct", 12, 8, stride=8, kind="transform"),
            Branch("quantisation", 10, 4, stride=2),
            Branch("block_boundary", 8, 3),
            Branch("level", 10, 5),
        ),
    ),
    ModuleSpec(
        "rr",
        (
            Branch("multi_scale", 10, 3),
            Branch("upscaling", 8, 5),
            Branch("edge_sharpness", 8, 3),
            Branch("interpolation", 10, 7),
        ),
    ),
    ModuleSpec(
        "tm",
        (
            Branch("frame_consistency", 14, 5),
            Branch("motion_flow", 12, 7),
            Branch("temporal_artifact", 12, 3),
            Branch("optical_flow", 14, 9),
        ),
    ),
)

MODULES = {module.code: module for module in _ROWS}
"""By code."""


def module_spec(code: str) -> ModuleSpec:
    """The row of `code`. Raises `ValueError` naming the valid ones."""
    try:
        return MODULES[code]
    except KeyError:
        raise ValueError(f"{code!r} is no specialist; choose from {', '.join(MODULES)}") from None
