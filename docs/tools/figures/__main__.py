"""Draw the figures of the documentation: `python -m docs.tools.figures [NAME ...]`."""

from __future__ import annotations

import argparse
import pkgutil
from importlib import import_module
from pathlib import Path

import docs.tools.figures as package

FOLDER = Path(__file__).parents[2] / "images" / "explained"


def main() -> None:
    """Call `draw` of each named module, or of all."""
    names = sorted(
        module.name for module in pkgutil.iter_modules(package.__path__) if not module.name.startswith("_")
    )
    parser = argparse.ArgumentParser(prog="python -m docs.tools.figures", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one or more of: {', '.join(names)}")
    chosen = parser.parse_args().names or names
    if unknown := sorted(set(chosen) - set(names)):
        parser.error(f"unknown figures: {', '.join(unknown)}; there are: {', '.join(names)}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in chosen:
        import_module(f"{package.__name__}.{name}").draw(FOLDER)
        print(name)


if __name__ == "__main__":
    main()
