"""Pure measures over arrays, the intervals around them, and what is fitted to scores: calibration and thresholds."""
