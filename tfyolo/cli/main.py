"""The `tfyolo` command: runs a subcommand, turns a user's errors into one line and exit code 2."""

from __future__ import annotations

import argparse
import difflib
import importlib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from tfyolo.errors import TfyoloError
from tfyolo.text import printable
from tfyolo.version import __version__

COMMANDS = {
    "detect": "find objects in pictures, videos and streams",
    "train": "train a detector on a data set",
    "demo": "detect, fine-tune, export and measure with what ships, and write a page about it",
    "autoanchor": "check anchors against a data set, and make better ones",
    "val": "measure precision, recall and mAP on a data set",
    "classify": "train, measure and run a classifier of whole pictures",
    "crops": "cut the labelled boxes of a data set into pictures for a classifier",
    "export": "write TensorFlow Lite, Edge TPU, TF.js, SavedModel and GraphDef files, NMS inside",
    "web": "run an exported model in the browser, on a page served from this machine",
    "quantize": "make an 8-bit model: calibrate it, and train it as it will be rounded",
    "quant-debug": "where an 8-bit model loses accuracy, layer by layer",
    "convert-dataset": "write a data set as YOLO, Pascal VOC, COCO or TFRecord",
    "convert": "turn a YOLOv5 .pt checkpoint into a .keras file",
    "inspect": "what a model file holds: contract, inputs and outputs, operations",
    "summary": "layers, parameters and GFLOPs of a model, as a table or a diagram",
    "profile": "cost and speed of blocks side by side",
    "benchmark": "size, mAP and latency of model files and formats, side by side",
}
"""Each is a module of this folder, with EXAMPLES, add_arguments(parser) and run(arguments) -> exit code."""


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line instead of repeating the usage."""

    def error(self, message: str) -> NoReturn:
        """Print and exit with 2."""
        print(printable(f"error: {message} (see `{self.prog} --help`)"), file=sys.stderr)
        sys.exit(2)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: arguments after the program's name; those of the process by default.

    Returns:
        0; 1 where a command did its work but had to leave something out; 2 for a user's error.
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
        near = difflib.get_close_matches(name, COMMANDS, 1)
        hint = f"did you mean `{near[0]}`?" if near else f"one of {', '.join(COMMANDS)}"
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
    arguments = parser.parse_args(words[1:])
    # TensorFlow's start-up notes are not for users; set before anything imports it.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    device = getattr(arguments, "device", "")
    if device:
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1" if device == "cpu" else device
    try:
        return int(module.run(arguments) or 0)
    except TfyoloError as error:
        print(printable(f"error: {error}", keep="\n"), file=sys.stderr)
        return 2
    except BrokenPipeError:  # `tfyolo summary ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # a full disk, a folder that may not be written
        print(printable(f"error: {error}"), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _overview() -> str:
    rows = "\n".join(f"  {name:<17}{text}" for name, text in COMMANDS.items())
    return (
        "tfyolo: YOLOv5 for TensorFlow and Keras, made to be shipped\n\n"
        "usage: tfyolo COMMAND [options]    (tfyolo COMMAND --help lists them, with examples)\n\n"
        f"commands:\n{rows}\n\n"
        "  --version  print the version\n\n"
        "example: tfyolo detect --weights yolov5n.pt --source bus.jpg"
    )


def entry() -> NoReturn:
    """The console script."""
    from tfyolo.quiet import hide_import_notes

    hide_import_notes()
    sys.exit(main())
