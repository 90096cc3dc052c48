"""Instance segmentation with a model file: from images to boxes with masks."""
