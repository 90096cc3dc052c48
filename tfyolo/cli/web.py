"""`tfyolo web`."""

from __future__ import annotations

import argparse
from pathlib import Path

from tfyolo.cli import arguments as options

EXAMPLES = (
    "tfyolo web                                        # the page with the model it brings along",
    "tfyolo web --weights yolov5n.tflite",
    "tfyolo web --weights best_web_model --conf-thres 0.4 --port 0",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A model, where to serve it and what the page starts with."""
    add = parser.add_argument
    add(
        "--weights", type=Path, metavar="FILE",
        help="a .tflite file or a TF.js folder of `tfyolo export`; the page's own model by default",
    )  # fmt: skip
    add("--host", default="127.0.0.1", metavar="NAME", help="address of this machine (%(default)s)")
    add("--port", type=_port, default=8000, metavar="N", help="0 takes any that is free (%(default)s)")
    add("--no-open", action="store_true", help="print the address, leave the browser alone")
    add("--conf-thres", "--conf", dest="conf", type=options.fraction, metavar="P", help="lowest confidence")
    add("--iou-thres", "--iou", dest="iou", type=options.fraction, metavar="P", help="overlap of suppression")
    add("--engine", metavar="ID", help="what runs the model, as the page names it; its own choice by default")


def run(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl+C."""
    import sys
    import threading
    import webbrowser
    from dataclasses import replace

    from tfyolo.text import printable
    from tfyolo.web import Server, Site, check_model, find_page

    page, what = find_page(), "the page with its own model"
    if arguments.weights is not None:
        contract = check_model(arguments.weights)
        height, width = contract.image_size
        what = f"{arguments.weights} ({len(contract.names)} classes, {height}x{width} pixels)"
    site = Site(page, arguments.weights)
    site = replace(site, start=site.query(arguments.conf, arguments.iou, arguments.engine))
    try:
        with Server(site, arguments.host, arguments.port) as server:
            url = server.url + site.start
            print(printable(f"serving {what}"))
            print(f"{url}\npress Ctrl+C to stop", flush=True)
            if not server.local:
                print(_NOT_LOCAL, file=sys.stderr)
            if not arguments.no_open:
                # A browser in the terminal would only return when it is closed.
                threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
            server.serve_forever()
    except KeyboardInterrupt:  # how it ends
        pass
    return 0


_NOT_LOCAL = (
    "note: others on the network reach it; browsers give a page the camera and threads on localhost only"
)


def _port(text: str) -> int:
    number = options.count(text)
    if number > 65535:
        raise argparse.ArgumentTypeError(f"{text} is no port: they end at 65535")
    return number
