"""Keras models: .keras files, and the networks of .pt checkpoints."""
