"""Dataset formats: readers, writers, conversion."""
