"""Pure PyTorch: networks as modules, no files read or written but weights handed in as dictionaries."""
