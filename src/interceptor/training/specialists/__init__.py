"""How the standard specialists are trained on the shared base."""
