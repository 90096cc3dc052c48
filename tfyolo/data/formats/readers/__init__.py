"""Readers of datasets in the formats of the field, and the table that lists them."""
