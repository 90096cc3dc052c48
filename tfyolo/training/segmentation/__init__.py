"""Training of segmentation models: what masks add to the training of detectors."""
