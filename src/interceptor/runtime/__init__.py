"""The weight files that ship, and the machine that runs networks. No PyTorch, no learning."""
