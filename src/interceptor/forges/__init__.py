"""Pseudo-fakes out of real media alone: no learning."""
