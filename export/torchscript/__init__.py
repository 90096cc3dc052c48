"""TorchScript files."""
