"""Frozen GraphDef files."""
