"""`tfyolo quantize`."""

from __future__ import annotations

import argparse
from pathlib import Path

from tfyolo.cli import arguments as options
from tfyolo.cli.next_command import print_next

NEEDS = ("tensorflow", "keras")
EXAMPLES = (
    "tfyolo quantize --weights yolov5n.pt --data coco128.yaml               # 1,000 steps, no labels needed",
    "tfyolo quantize --weights best.keras --data fruit.yaml --steps 2000 --loss both",
    "tfyolo quantize --weights best.keras --data fruit.yaml --steps 0      # calibration only",
    "tfyolo quantize --weights classifier.keras --data cells/               # classifiers, too",
    "tfyolo quantize --weights best_int8.keras --float best.keras --data fruit.yaml --output better.keras",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Calibration and training."""
    add = parser.add_argument
    options.add_model(parser)
    add("--float", dest="exact", metavar="FILE", help="the float model, where --weights is quantized already")
    options.add_calibration(parser, required=True)
    options.add_qat(parser)
    add("--steps", type=options.count, default=1000, metavar="N", help="updates; 0 calibrates only (1000)")
    add("--batch-size", "--batch", dest="batch", type=options.positive, default=4, metavar="N",
        help="images in an update (%(default)s)")  # fmt: skip
    add("--seed", type=options.seed, default=0, metavar="N", help="of the order of images (%(default)s)")
    add("--output", type=Path, metavar="FILE", help=".keras file; WEIGHTS_int8.keras by default")


def run(arguments: argparse.Namespace) -> int:
    """Calibrate, train, write."""
    from tfyolo.cli.progress import progress_bar
    from tfyolo.weights.hub import fetch_weights, output_stem
    from tfyolo.weights.keras_file import check_target

    path = fetch_weights(arguments.weights)
    stem = output_stem(arguments.weights)
    output = check_target(arguments.output or stem.with_name(f"{stem.name}_int8.keras"))

    from tfyolo.quantization.calibration import CalibrationOptions
    from tfyolo.quantization.qat_options import QatOptions
    from tfyolo.quantization.run import QuantizeOptions, quantize

    train = QatOptions(steps=arguments.steps, learning_rate=arguments.qat_lr, loss=arguments.qat_loss)
    wanted = QuantizeOptions(
        data=Path(arguments.data),
        weights=str(path),
        output=output,
        exact=arguments.exact,
        image_size=options.image_size(arguments.img),
        calibration=arguments.calibration,
        calibrate=CalibrationOptions(arguments.ranges, keep_float=tuple(arguments.keep_float)),
        train=train if arguments.steps else None,
        batch=arguments.batch,
        seed=arguments.seed,
    )
    with progress_bar() as progress:
        quantize(wanted, progress, print)
    print(f"quantized model: {output}")
    print_next("tfyolo", "export", "--weights", output, "--include", "tflite", "--int8")
    return 0
