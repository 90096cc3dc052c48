"""Untrusted TensorFlow graphs: vetted operation by operation, then rebuilt."""
