"""Quantization-aware training: the QAT model, its losses and its loop."""
