"""Configuration files that ship, and reading YAML so that errors can name a line."""
