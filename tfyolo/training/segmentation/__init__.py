"""Training of segmentation models: so far the loss."""
