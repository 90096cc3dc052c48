"""What ships with the package, by name: a detector and a small dataset of blood cells (BCCD, MIT)."""

from pathlib import Path

FOLDER = Path(__file__).parent
DEFAULT_MODEL = FOLDER / "bccd-n.keras"
"""yolov5n at 320 pixels, trained on BCCD from random weights with the recipe `--hyp cells`."""
MINI_DATA = FOLDER / "bccd-mini" / "bccd-mini.yaml"
"""48 training and 24 test images of BCCD."""
TEST_IMAGES = MINI_DATA.parent / "images" / "test"
SAMPLE_IMAGE = TEST_IMAGES / "BloodImage_00007.jpg"

MODELS = {"bccd-n": DEFAULT_MODEL}
"""Names that `--weights` and `tfyolo.load` take."""
DATA_SETS = {"bccd-mini": MINI_DATA}
"""Names that `--data` takes."""
SOURCES = {"bccd-mini": TEST_IMAGES}
"""Names that `--source` takes."""
