"""Imports untrusted TensorFlow graphs (SavedModel and GraphDef): allow-list, memory bound, rebuilt graph."""
