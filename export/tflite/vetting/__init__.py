"""`.tflite` files verified before an interpreter sees them: bytes, then graph, then every operator."""
