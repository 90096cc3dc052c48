"""Data sets, images, letterboxing."""
