"""The console that tables are printed on."""

from __future__ import annotations

import sys

from rich.console import Console


def console() -> Console:
    """As wide as the terminal; 120 columns in files and pipes, where rich would assume 80 and cut words."""
    return Console(width=None if sys.stdout.isatty() else 120, highlight=False)
