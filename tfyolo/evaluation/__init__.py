"""Metrics, validation, plots."""
