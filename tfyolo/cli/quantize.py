"""`tfyolo quantize`."""

from __future__ import annotations

import argparse
from pathlib import Path

from tfyolo.cli import argument_types as types
from tfyolo.cli import arguments as options
from tfyolo.cli import quantization_arguments as quantization
from tfyolo.cli.next_command import print_next

NEEDS = ("tensorflow", "keras")
EXAMPLES = (
    "tfyolo quantize --weights yolov5n.pt --data coco128.yaml   # 1,000 steps of QAT, no labels needed",
    "tfyolo quantize --weights best.keras --data fruit.yaml --steps 2000 --loss both",
    "tfyolo quantize --weights best.keras --data fruit.yaml --steps 0   # calibration only",
    "tfyolo quantize --weights classifier.keras --data cells/   # a classifier",
    "tfyolo quantize --weights best_int8.keras --float best.keras --data fruit.yaml --output better.keras",
)
_QAT_FLAGS = {"batch": "--batch-size", "seed": "--seed", "qat_loss": "--qat-loss", "qat_lr": "--qat-lr"}
"""Options by name that have an effect only with QAT."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command to its parser."""
    quantization.add_calibration(parser, required=True)
    options.add_weights(parser, exported=False)
    options.add_float_model(parser)
    add = options.group(parser, "optimization")
    add("--steps", type=types.count, default=1000, metavar="N", help="number of QAT steps; 0 calibrates only")
    add(
        "--batch-size",
        "--batch",
        dest="batch",
        type=types.positive,
        default=4,
        metavar="N",
        help="number of images per QAT step",
    )
    add("--seed", type=types.seed, default=0, metavar="N", help="seed of the image order")
    quantization.add_qat(parser)
    options.group(parser, "output")(
        "--output", type=Path, metavar="FILE", help=".keras file to write (default: WEIGHTS_int8.keras)"
    )
    parser.set_defaults(parser=parser)


def run(arguments: argparse.Namespace) -> int:
    """Calibrate and train, write the model, and return the exit code."""
    from tfyolo.cli.progress import progress_bar
    from tfyolo.errors import refuse_given
    from tfyolo.weights.hub import fetch_weights, output_stem
    from tfyolo.weights.keras_file import check_target

    if not arguments.steps:
        given = options.given_options(arguments.parser, arguments.words)
        refuse_given(
            [flag for name, flag in _QAT_FLAGS.items() if name in given], (), "--steps 0 only calibrates"
        )
    path = fetch_weights(arguments.weights)
    stem = output_stem(arguments.weights)
    output = arguments.output or stem.with_name(f"{stem.name}_int8.keras")
    check_target(output, (path, arguments.float_model))

    from tfyolo.quantization.run import QuantizeOptions, quantize
    from tfyolo.quantization.training.qat_options import QatOptions

    train = QatOptions(arguments.steps, arguments.qat_lr, loss=arguments.qat_loss)
    wanted = QuantizeOptions(
        data=Path(arguments.data),
        weights=str(path),
        output=output,
        float_model=arguments.float_model,
        image_size=options.image_size(arguments.img),
        calibration=arguments.calibration,
        calibrate=quantization.calibration_options(arguments),
        train=train if arguments.steps else None,
        batch_size=arguments.batch,
        seed=arguments.seed,
        given=arguments.given,
    )
    with progress_bar() as progress:
        quantize(wanted, progress, print)
    print(f"quantized model: {output}")
    print_next("tfyolo", "export", "--weights", output, "--include", "tflite", "--int8")
    return 0
