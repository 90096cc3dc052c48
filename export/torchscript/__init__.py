"""The TorchScript format: table entry, writer, and runtime."""
