"""How good a detector is on labelled crops and videos: what was measured, on what, and how sure that is."""
