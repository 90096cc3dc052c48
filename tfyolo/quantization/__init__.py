"""8-bit models: calibration, quantization-aware training, and how far they are from the float model."""
