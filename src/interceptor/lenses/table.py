"""The lenses: one row each."""

from __future__ import annotations

from interceptor.lenses import audio_visual, background, compression, low_light, resolution, temporal
from interceptor.lenses.lens import Lens

_ROWS = (
    Lens(
        "ll",
        "low light",
        low_light.CHANNELS,
        "Exposure, grain and contrast. A blend often has another grain than the skin around it: look for an area whose "
        "residual is smoother or rougher than its surroundings at equal brightness.",
        low_light.low_light,
    ),
    Lens(
        "bg",
        "background",
        background.CHANNELS,
        "The face in its surroundings. Light should come from one side on both, and have one colour.",
        background.background,
        ("context",),
    ),
    Lens(
        "av",
        "audio-visual",
        audio_visual.CHANNELS,
        "Time runs from left to right, 2.6 s, a mark each half second. Lips close where the sound breaks off, and "
        "move most where syllables begin. The agreement is brightest along its middle line where both go together, "
        "above it where the sound is early, below it where it is late.",
        audio_visual.audio_visual,
        ("mouth", "sound"),
        audio_visual.SPAN,
    ),
    Lens(
        "cm",
        "compression",
        compression.CHANNELS,
        "The frame's own pixels, on the codec's 8 x 8 grid. Blocks should be equally visible everywhere; a part that "
        "was compressed before has other blocks, or none.",
        compression.compression,
        ("native",),
    ),
    Lens(
        "rr",
        "resolution",
        resolution.CHANNELS,
        "Detail of the frame's own pixels, finest first. A part that was enlarged has lost its finest detail; one that "
        "was sharpened has too much.",
        resolution.resolution,
        ("native",),
    ),
    Lens(
        "tm",
        "temporal",
        temporal.CHANNELS,
        "What changes between neighbouring frames when the face is held still. Flicker and jitter of a face that is "
        "laid on frame by frame light up along its outline.",
        temporal.temporal,
        ("neighbours",),
    ),
)

LENSES = {lens.code: lens for lens in _ROWS}
"""By code."""
