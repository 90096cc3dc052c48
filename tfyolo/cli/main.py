"""The `tfyolo` command: runs a subcommand, turns a user's errors into one line and exit code 2."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from tfyolo.cli import yolov5_flags
from tfyolo.cli.parser import Parser, closest
from tfyolo.disk import OF_WRITING, cannot_write
from tfyolo.errors import TfyoloError
from tfyolo.libraries import missing_extra, require
from tfyolo.text import printable
from tfyolo.version import __version__

COMMANDS = {
    "detect": "find objects in images, videos and streams",
    "train": "train a detector on a dataset",
    "demo": "detect, fine-tune, export and measure with what ships",
    "autoanchor": "check anchors against a dataset, and make better ones",
    "val": "measure precision, recall and mAP on a dataset",
    "classify": "train, measure and run a classifier of whole images",
    "crops": "cut labeled boxes into images to train a classifier on",
    "export": "write .tflite, TF.js, ONNX and other files, NMS inside",
    "web": "run an exported model in the browser, on this machine",
    "quantize": "make an 8-bit model by calibration and training",
    "quant-debug": "where an 8-bit model loses accuracy, layer by layer",
    "convert-dataset": "write a dataset as YOLO, Pascal VOC, COCO or TFRecord",
    "convert": "turn a YOLOv5 .pt checkpoint into a .keras file",
    "inspect": "what a model file holds: classes, inputs, operations",
    "summary": "layers, parameters and GFLOPs of a model; its diagram",
    "profile": "cost and speed of blocks side by side",
    "benchmark": "size, mAP and latency of models and formats, side by side",
}
"""Each is a module of this folder, with EXAMPLES, add_arguments(parser) and run(arguments) -> exit code.
NEEDS, in some, are the optional libraries (libraries.py) that it cannot begin without."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: arguments after the program's name; those of the process by default.

    Returns:
        0; 1 where a command did its work but had to leave something out, which it names; 2 for an error that
        the user can mend; 130 after Ctrl-C.
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
        near = closest(name, (*COMMANDS, "--help", "--version"))
        hint = f"did you mean `{near}`?" if near else f"one of {', '.join(COMMANDS)}"
        print(printable(f"error: there is no command `{name}`; {hint}"), file=sys.stderr)
        return 2
    module = importlib.import_module(f"tfyolo.cli.{name.replace('-', '_')}")
    parser = Parser(
        prog=f"tfyolo {name}",
        description=COMMANDS[name][0].upper() + COMMANDS[name][1:] + ".",
        epilog="examples:\n" + "\n".join(f"  {line}" for line in module.EXAMPLES),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.add_arguments(parser)
    yolov5_flags.add_flags(parser)
    try:
        given = yolov5_flags.translated(name, words[1:])
        arguments = parser.parse_args(given)
        arguments.words = given
        yolov5_flags.heed_flags(arguments)
    except TfyoloError as error:
        print(printable(f"error: {error}", keep="\n"), file=sys.stderr)
        return 2
    # TensorFlow's start-up notes are not for users; set before anything imports it.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    device = getattr(arguments, "device", "")
    if device:
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1" if device == "cpu" else device
    try:
        require(*getattr(module, "NEEDS", ()))
        return int(module.run(arguments) or 0)
    except ModuleNotFoundError as error:  # of a library that only some inputs need
        missing = missing_extra(error)
        if missing is None:
            raise
        print(f"error: {missing}", file=sys.stderr)
        return 2
    except TfyoloError as error:
        print(printable(f"error: {error}", keep="\n"), file=sys.stderr)
        return 2
    except OSError as error:  # of a file that no other code has an opinion on
        print(printable(f"error: {_told(error)}", keep="\n"), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _told(error: OSError) -> str:
    """The message of an error that names a file or not."""
    if error.filename is None or error.strerror is None:
        return str(error)
    if error.errno in OF_WRITING:
        return str(cannot_write(error, os.fsdecode(error.filename)))
    return f"{os.fsdecode(error.filename)}: {error.strerror}"


def _overview() -> str:
    rows = "\n".join(f"  {name:<17}{text}" for name, text in COMMANDS.items())
    return (
        "tfyolo: YOLOv5 for TensorFlow and Keras, made to be shipped\n\n"
        "usage: tfyolo COMMAND [options]      (tfyolo COMMAND --help lists them)\n\n"
        f"commands:\n{rows}\n\n"
        "  --version  print the version\n\n"
        "exit codes: 0 done, 1 something was left out and is named, 2 error, 130 Ctrl-C\n\n"
        "example: tfyolo detect --weights yolov5n.pt --source bus.jpg"
    )


def entry() -> NoReturn:
    """The console script."""
    from tfyolo.cli.interrupt import supervised
    from tfyolo.cli.streams import prepare_streams
    from tfyolo.quiet import hide_import_notes

    prepare_streams()
    hide_import_notes()
    sys.exit(supervised(_finished_main))


def _finished_main() -> int:
    """The exit code of `main`, with all that was printed written."""
    from tfyolo.cli.streams import finish_streams

    try:
        code = main()
    except SystemExit as end:  # argparse's own
        if not isinstance(end.code, int | None):
            raise
        code = end.code or 0
    return finish_streams(code)
