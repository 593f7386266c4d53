"""Staged training of full specialists."""
