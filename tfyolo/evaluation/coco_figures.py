"""COCO's own metrics of a validation, and predictions.json."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tfyolo.evaluation import coco, coco_ids
from tfyolo.evaluation.accumulator import DetectionAccumulator, Row


def coco_figures(
    accumulator: DetectionAccumulator, names: Sequence[str], annotations: Path | None, folder: Path | None
) -> dict[str, dict[str, float]]:
    """Compute the COCO protocol's twelve figures, and write predictions.json.

    Args:
        accumulator: predictions of all images.
        names: class names of the dataset.
        annotations: COCO JSON of the ground truth; made from the labels by default.
        folder: folder for `predictions.json`; None writes nothing.

    Returns:
        Figures in 0..1 by name, as of `coco.evaluate`: `bbox` has those of boxes, `segm` those of masks.
    """
    samples = [sample for sample, _ in accumulator.detections]
    given = coco.read_annotations(annotations) if annotations else None
    if given and annotations:
        accumulator.check_annotations(given, annotations)
    ground_truth = given or accumulator.coco_ground_truth(names)
    ids = coco_ids.image_ids([sample.image.with_name(sample.name) for sample in samples], given)
    categories = coco_ids.category_ids(names, given)
    rows: list[Row] = []
    for number, (image_id, frame) in enumerate(zip(ids, coco.frames(samples, ids, given), strict=True)):
        rows += accumulator.coco_rows(number, image_id, frame, categories)
    if folder:
        coco.save_results(rows, folder / "predictions.json")
    return {kind: coco.evaluate(ground_truth, rows, ids, kind) for kind in accumulator.iou_types}
