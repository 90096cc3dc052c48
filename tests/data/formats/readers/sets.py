"""Small datasets in each format, to be written and then spoilt."""

import json
from pathlib import Path

from PIL import Image

NAMES = ("cat", "dog", "RBC")


def write_image(path, wh=(64, 48), color=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", wh, (color, color, color)).save(path)
    return path


def data_yaml(root: Path, **keys) -> Path:
    """Of JSON, which is YAML too."""
    path = root / "data.yaml"
    path.write_text(json.dumps({"names": NAMES, **keys}))
    return path


def xml(*objects, wh=(64, 48), filename="a.jpg", head="", difficult=0) -> str:
    """Objects are (name, xmin, ymin, xmax, ymax)."""
    rows = "".join(
        f"<object>\n<name>{name}</name><difficult>{difficult}</difficult><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin>"
        f"<xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox>"
        f"<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part></object>\n"
        for name, x1, y1, x2, y2 in objects
    )
    size = f"<size><width>{wh[0]}</width><height>{wh[1]}</height><depth>3</depth></size>"
    return f"{head}<annotation>\n<filename>{filename}</filename>{size}\n{rows}</annotation>\n"


def voc(root: Path, **annotations) -> Path:
    """Images of 64 x 48 with these annotations by their stems, all in the list; the YAML file."""
    for index, (stem, text) in enumerate(annotations.items()):
        write_image(root / f"JPEGImages/{stem}.jpg", color=40 * index)
        (root / "Annotations").mkdir(exist_ok=True)
        if text is not None:
            (root / f"Annotations/{stem}.xml").write_text(text)
    listing(root, "\n".join(annotations))
    return data_yaml(root, train="ImageSets/Main/train.txt")


def listing(root: Path, text: str) -> None:
    path = root / "ImageSets/Main/train.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def annotation(bbox, category=1, image=7, number=1, **more):
    return {"id": number, "image_id": image, "category_id": category, "bbox": bbox, "iscrowd": 0, **more}


def coco_value(*annotations, file_name="a.jpg"):
    return {
        "images": [{"id": 7, "file_name": file_name, "width": 64, "height": 48}],
        "annotations": list(annotations),
        "categories": [{"id": 1, "name": "dog"}, {"id": 3, "name": "cat"}, {"id": 9, "name": "unused"}],
    }


def coco(root: Path, value) -> Path:
    """One image of 64 x 48 in images/, and this JSON; the YAML file."""
    write_image(root / "images/a.jpg")
    (root / "train.json").write_text(value if isinstance(value, str) else json.dumps(value))
    return data_yaml(root, train="train.json")
