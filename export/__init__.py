"""Formats of model files: one package per format (entry, writer, runtime), and the table of all of them."""
