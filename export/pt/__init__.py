"""The PyTorch format: checkpoints of YOLOv5, run through Keras, and their writer."""
