"""The TensorRT format: table entry, writer, and runtime."""
