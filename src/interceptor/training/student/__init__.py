"""How the fast student is distilled."""
