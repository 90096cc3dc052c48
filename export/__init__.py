"""Exporters: one file a format, and the table that lists them (registry.py)."""
