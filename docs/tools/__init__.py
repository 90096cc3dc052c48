"""Pages of the documentation site that are written by code, and figures."""
