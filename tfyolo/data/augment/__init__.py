"""Augmentation of detection images, in TensorFlow operations."""
