"""Training: data in, checkpoints and a run card out."""
