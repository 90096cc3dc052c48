"""The ONNX format: table entry, writer, runtime, and the checks of untrusted files."""
