"""The graph inside exported files: the network, decoding and non-maximum suppression in TensorFlow."""
