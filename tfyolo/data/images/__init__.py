"""Image files: headers, decoding, letterbox."""
