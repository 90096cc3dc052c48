"""`tfyolo detect`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tfyolo.cli import argument_types as types
from tfyolo.cli import arguments as options
from tfyolo.errors import TfyoloError

if TYPE_CHECKING:
    from tfyolo.inference.detection import BoxPredictor
    from tfyolo.inference.frames import Frames
    from tfyolo.inference.writers import OutputOptions

EXAMPLES = (
    "tfyolo detect --weights yolov5n.pt --source bus.jpg zidane.jpg",
    "tfyolo detect --weights best.tflite --source holiday/ --conf-thres 0.4 --save-txt --save-conf",
    "tfyolo detect --weights yolov5s --source 0   # webcam",
)
NOTES = ("exit code 1: an image could not be read, or none could; each is listed on stderr and skipped",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of YOLOv5's detect.py to the parser."""
    add_prediction(parser, "runs/detect")
    add = options.group(parser, "model")
    add("--augment", action="store_true", help="use test-time augmentation: three scales and a flip")


def add_prediction(parser: argparse.ArgumentParser, project: str, *, default_model: bool = True) -> None:
    """Add the options that prediction of boxes has, with or without masks.

    Args:
        parser: parser of the command.
        project: default folder that holds all runs.
        default_model: use the detector that ships if there is no `--weights`.
    """
    options.add_source(parser)
    options.add_weights(parser, required=not default_model)
    options.add_thresholds(parser, confidence=0.25, iou_threshold=0.45, max_detections=300)
    add = options.group(parser, "non-maximum suppression")
    add("--classes", nargs="+", type=int, metavar="I", help="class ids to keep (default: all)")
    add("--agnostic-nms", action="store_true", help="let boxes of different classes suppress each other")
    add = options.group(parser, "output")
    add(
        "--save-txt",
        action="store_true",
        help="write labels/NAME.txt, for videos NAME_1.txt and so on: class x y w h, relative to the image; "
        "of a segmentation model: class x y x y and so on",
    )
    add("--save-conf", action="store_true", help="with --save-txt, add the confidence as the last column")
    add("--save-crop", action="store_true", help="write each box as crops/CLASS/NAME_N.jpg")
    add("--save-csv", action="store_true", help="write all detections to predictions.csv")
    add("--nosave", action="store_true", help="do not write annotated images and videos")
    add("--hide-labels", action="store_true", help="draw boxes without class names")
    add("--hide-conf", action="store_true", help="draw class names without confidences")
    add(
        "--line-thickness",
        type=types.positive,
        metavar="PX",
        help="line width of boxes in pixels (default: relative to the image size)",
    )
    options.add_run_folder(parser, project)


def run(arguments: argparse.Namespace) -> int:
    """Detect objects, write results, and return the exit code."""
    from tfyolo.assets import DEFAULT_MODEL
    from tfyolo.inference.load import load_box_predictor
    from tfyolo.inference.sources import open_sources

    frames = open_sources(arguments.source, arguments.vid_stride)
    if arguments.weights is None:
        arguments.weights = DEFAULT_MODEL
    detector = load_box_predictor(arguments.weights, options.image_size(arguments.img))
    if arguments.weights == DEFAULT_MODEL:
        print(
            f"note: no --weights: {DEFAULT_MODEL.stem} detects {', '.join(detector.names)}", file=sys.stderr
        )
    if arguments.augment and detector.contract.task == "segment":
        raise TfyoloError("segmentation models have no test-time augmentation", fix="leave out --augment")
    settings = {"augment": True} if arguments.augment else {}
    return predict(detector, frames, arguments, settings)


def predict(
    detector: BoxPredictor, frames: Frames, arguments: argparse.Namespace, settings: Mapping[str, bool]
) -> int:
    """Predict on all frames, write results, and return the exit code.

    Args:
        detector: detector or segmentation model.
        frames: from `open_sources`.
        arguments: parsed options of `add_prediction`.
        settings: further arguments of the predictor.
    """
    from tfyolo.cli.detect_run import PredictionRun
    from tfyolo.inference.nms import NmsOptions

    detector.check_class_ids(arguments.classes)
    nms = NmsOptions(
        confidence=arguments.conf_thres,
        iou_threshold=arguments.iou_thres,
        class_ids=arguments.classes,
        agnostic=arguments.agnostic_nms,
        max_detections=arguments.max_det,
    )
    if limits := detector.limits(nms):
        print(f"note: {limits}", file=sys.stderr)
    report = PredictionRun(detector, nms, _outputs(arguments), settings).run(frames)
    print(report)
    if report.interrupted and frames.total is not None:  # stopping an endless stream is not a failure
        return 130
    return 0 if report.is_complete else 1


def _outputs(arguments: argparse.Namespace) -> OutputOptions | None:
    """Options of the files to write, in a new run folder; None if nothing is written."""
    from tfyolo.files import run_folder
    from tfyolo.inference.writers import OutputOptions

    if arguments.nosave and not (arguments.save_txt or arguments.save_crop or arguments.save_csv):
        return None
    return OutputOptions(
        folder=run_folder(arguments.project, arguments.name, arguments.exist_ok),
        images=not arguments.nosave,
        txt=arguments.save_txt,
        txt_confidence=arguments.save_conf,
        crops=arguments.save_crop,
        csv=arguments.save_csv,
        labels=not arguments.hide_labels,
        confidences=not arguments.hide_conf,
        thickness=arguments.line_thickness,
    )
