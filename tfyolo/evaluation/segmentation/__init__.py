"""Validation of instance masks."""
