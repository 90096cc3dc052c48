"""Caches: scans, decoded images, image tables that TensorFlow reads by index."""
