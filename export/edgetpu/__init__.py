"""TensorFlow Lite files for the Edge TPU."""
