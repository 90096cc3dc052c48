"""Datasets, images, letterboxing."""
