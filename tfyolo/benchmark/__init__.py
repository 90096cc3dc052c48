"""Speed and accuracy of several model files, side by side."""
