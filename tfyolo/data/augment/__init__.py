"""Augmentation in TensorFlow operations, one idea a file."""
