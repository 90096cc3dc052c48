"""From a model file to boxes."""
