"""Data of segmentation models: polygons rasterized to masks, in NumPy and in the tf.data graph."""
