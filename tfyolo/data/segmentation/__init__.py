"""Data of segmentation models: so far the rasterization of polygons."""
