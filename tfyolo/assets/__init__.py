"""What ships with the package: a default model and a small data set, both of blood cells (BCCD, MIT)."""

from pathlib import Path

FOLDER = Path(__file__).parent
DEFAULT_MODEL = FOLDER / "bccd-n.keras"
"""yolov5n at 320 pixels, trained on BCCD from random weights with the recipe `--hyp cells`."""
MINI_DATA = FOLDER / "bccd-mini" / "bccd-mini.yaml"
"""48 training and 24 test pictures of BCCD."""
