"""Write Pascal VOC datasets: Annotations, JPEGImages, ImageSets/Main."""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

from tfyolo.data.detection.sample import Sample
from tfyolo.data.formats.writers.base import Place, Split, corners_px, short


def write_split(split: Split) -> Place:
    """Write the images, annotations and list of a split; returns the list.

    Corners are plain (x from 0 to the width), as tfyolo and most converters read them, with decimals if they
    are not integers. VOC has no polygons.
    """
    annotations, lists = split.folder / "Annotations", split.folder / "ImageSets" / "Main"
    annotations.mkdir(parents=True, exist_ok=True)
    lists.mkdir(parents=True, exist_ok=True)
    stems = []
    for sample in split.samples:
        name = split.put_image(sample, split.folder / "JPEGImages")
        stems.append(Path(name).stem)
        text = annotation(sample, name, split.classes)
        (annotations / f"{stems[-1]}.xml").write_text(text, encoding="utf-8")
        split.done()
    (lists / f"{split.name}.txt").write_text("".join(f"{stem}\n" for stem in stems), encoding="utf-8")
    return f"ImageSets/Main/{split.name}.txt"


def annotation(sample: Sample, name: str, classes: tuple[str, ...]) -> str:
    """Return the XML annotation of an image.

    Args:
        sample: size and labels of the image.
        name: file name of the image.
        classes: class names by class id.

    Returns:
        Text of the XML file.
    """
    height, width = sample.hw
    rows = [
        "<annotation>",
        "\t<folder>JPEGImages</folder>",
        f"\t<filename>{escape(name)}</filename>",
        "\t<size>",
        f"\t\t<width>{width}</width>",
        f"\t\t<height>{height}</height>",
        "\t\t<depth>3</depth>",
        "\t</size>",
        "\t<segmented>0</segmented>",
    ]
    for class_id, corners in zip(sample.classes.tolist(), corners_px(sample).tolist(), strict=True):
        keys = zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True)
        rows += [
            "\t<object>",
            f"\t\t<name>{escape(classes[class_id])}</name>",
            "\t\t<pose>Unspecified</pose>",
            "\t\t<truncated>0</truncated>",
            "\t\t<difficult>0</difficult>",
            "\t\t<bndbox>",
            *(f"\t\t\t<{key}>{short(value)}</{key}>" for key, value in keys),
            "\t\t</bndbox>",
            "\t</object>",
        ]
    return "\n".join([*rows, "</annotation>", ""])
