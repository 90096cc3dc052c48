"""The console that tables are printed on."""

from __future__ import annotations

import sys

from rich.console import Console


def console() -> Console:
    """Return a console with the width of the terminal; 120 columns in files and pipes."""
    return Console(width=None if sys.stdout.isatty() else 120, highlight=False)
