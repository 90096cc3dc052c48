"""Data of segmentation models: polygons, and the masks that they rasterize to."""
