"""The `tfyolo` command: runs a subcommand, and reports user errors in one line with exit code 2."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import NoReturn

from tfyolo.cli import yolov5_flags
from tfyolo.cli.gpus import choose_devices
from tfyolo.cli.parser import HelpFormatter, Parser, examples_text
from tfyolo.disk import OF_WRITING, cannot_write
from tfyolo.errors import TfyoloError
from tfyolo.libraries import missing_extra, require
from tfyolo.text import closest, printable
from tfyolo.version import __version__

COMMANDS = {
    "detect": "find objects in images, videos and streams",
    "train": "train a detector on a dataset",
    "demo": "detect, fine-tune, export and measure on the shipped images",
    "autoanchor": "check anchors against a dataset, and evolve better ones",
    "val": "measure precision, recall and mAP on a dataset",
    "classify": "train, measure and run an image classifier",
    "segment": "train, measure and run a segmentation model",
    "crops": "crop labeled boxes into images to train a classifier on",
    "export": "write .tflite, TF.js, ONNX and other files, NMS inside",
    "web": "run an exported model in the browser, on this machine",
    "quantize": "make an int8 model by calibration and QAT",
    "quant-debug": "find the layers where an int8 model loses accuracy",
    "convert-dataset": "write a dataset as YOLO, Pascal VOC, COCO or TFRecord",
    "convert": "convert a YOLOv5 .pt checkpoint to a .keras file",
    "inspect": "show classes, inputs and operators of a model file",
    "summary": "show layers, parameters and GFLOPs of a model; draw it",
    "profile": "compare the cost and speed of network blocks",
    "benchmark": "compare size, mAP and latency of models and formats",
}
"""Name and purpose of each command. Its module in this folder has `EXAMPLES`, `add_arguments(parser)` and
`run(arguments)`, which returns the exit code; some also have `NOTES` for the end of `--help`, and `NEEDS`,
the optional libraries (tfyolo/libraries.py) without which the command cannot start."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: arguments after the program's name; defaults to those of the process.

    Returns:
        Exit code: 0 on success; 1 if the command finished but left something out, which it names; 2 for an
        error that the user can fix; 130 after Ctrl-C.

    Example:
        >>> main(["--version"])  # doctest: +ELLIPSIS
        tfyolo ...
        0
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help"):
        print(_overview())
        return 0
    if words[0] in ("-V", "--version"):
        print(f"tfyolo {__version__}")
        return 0
    name = words[0]
    if name not in COMMANDS:
        similar = closest(name, (*COMMANDS, "--help", "--version"))
        hint = f"did you mean `{similar}`?" if similar else f"use one of {', '.join(COMMANDS)}"
        print(printable(f"error: unknown command `{name}`; {hint}"), file=sys.stderr)
        return 2
    module, parser = _command(name), command_parser(name)
    try:
        translated = yolov5_flags.translated(name, words[1:])
        arguments = parser.parse_args(translated)
        arguments.words = translated
        yolov5_flags.report_flags(arguments)
        choose_devices(getattr(arguments, "device", ""))
    except TfyoloError as error:
        print(printable(f"error: {error}", keep="\n"), file=sys.stderr)
        return 2
    try:
        require(*getattr(module, "NEEDS", ()))
        return int(module.run(arguments) or 0)
    except ModuleNotFoundError as error:  # a library that only some inputs need
        missing = missing_extra(error)
        if missing is None:
            raise
        print(f"error: {missing}", file=sys.stderr)
        return 2
    except TfyoloError as error:
        print(printable(f"error: {error}", keep="\n"), file=sys.stderr)
        return 2
    except OSError as error:  # a file error that no other code has handled
        print(printable(f"error: {_os_error_message(error)}", keep="\n"), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def command_parser(name: str) -> Parser:
    """Create the parser of a command.

    Args:
        name: key of `COMMANDS`.

    Returns:
        A parser with the command's options and those of YOLOv5 that have no effect here.

    Example:
        >>> command_parser("summary").parse_args(["yolov5n"]).model
        'yolov5n'
    """
    module, purpose = _command(name), COMMANDS[name]
    parser = Parser(
        prog=f"tfyolo {name}",
        description=f"{purpose[0].upper()}{purpose[1:]}.",
        epilog=examples_text(module.EXAMPLES, getattr(module, "NOTES", ())),
        formatter_class=HelpFormatter,
        allow_abbrev=False,
    )
    module.add_arguments(parser)
    yolov5_flags.add_flags(parser)
    return parser


def _command(name: str) -> ModuleType:
    """Import the module of a command."""
    return importlib.import_module(f"tfyolo.cli.{name.replace('-', '_')}")


def _os_error_message(error: OSError) -> str:
    """Message of an error of the operating system, with the file and a remedy where there is one."""
    if error.filename is None or error.strerror is None:
        return str(error)
    if error.errno in OF_WRITING:
        return str(cannot_write(error, os.fsdecode(error.filename)))
    return f"{os.fsdecode(error.filename)}: {error.strerror}"


def _overview() -> str:
    rows = "\n".join(f"  {name:<17}{text}" for name, text in COMMANDS.items())
    return (
        "tfyolo: YOLOv5 for TensorFlow and Keras\n\n"
        "usage: tfyolo COMMAND [options]      (tfyolo COMMAND --help lists them)\n\n"
        f"commands:\n{rows}\n\n"
        "  --version  print the version\n\n"
        "exit codes: 0 success, 1 some inputs skipped and listed, 2 error, 130 Ctrl-C\n\n"
        "example: tfyolo detect --weights yolov5n.pt --source bus.jpg"
    )


def entry() -> NoReturn:
    """Run the console script `tfyolo`, and exit."""
    from tfyolo.cli.interrupt import supervised
    from tfyolo.cli.streams import prepare_streams

    prepare_streams()
    sys.exit(supervised(_finished_main))


def _finished_main() -> int:
    """Run `main`, flush the standard streams, and return the exit code."""
    from tfyolo.cli.streams import finish_streams

    try:
        code = main()
    except SystemExit as end:  # argparse's own
        if not isinstance(end.code, int | None):
            raise
        code = end.code or 0
    return finish_streams(code)
