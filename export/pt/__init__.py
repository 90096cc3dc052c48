"""PyTorch checkpoints of YOLOv5."""
