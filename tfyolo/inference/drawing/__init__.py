"""Drawing of boxes, labels and classes."""
