"""How the pixel localizers are trained."""
