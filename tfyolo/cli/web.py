"""`tfyolo web`."""

from __future__ import annotations

import argparse
from pathlib import Path

from tfyolo.cli import argument_types as types
from tfyolo.cli import arguments as options

EXAMPLES = (
    "tfyolo web   # the page with the model that ships",
    "tfyolo web --weights yolov5n.tflite",
    "tfyolo web --weights best_web_model --conf-thres 0.4 --port 0",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command to its parser."""
    add = options.group(parser, "model")
    add(
        "--weights",
        type=Path,
        metavar="FILE",
        help=".tflite file or TF.js folder that `tfyolo export` wrote (default: the page's own model)",
    )
    add(
        "--engine",
        metavar="ID",
        help="ID of the engine that runs the model (default: automatic)",
    )
    add = options.group(parser, "non-maximum suppression")
    add(
        "--conf-thres",
        "--conf",
        dest="conf",
        type=types.fraction,
        metavar="P",
        help="confidence threshold at the start (default: the page's)",
    )
    add(
        "--iou-thres",
        "--iou",
        dest="iou",
        type=types.fraction,
        metavar="P",
        help="IoU threshold at the start (default: the page's)",
    )
    add = options.group(parser, "output")
    add("--host", default="127.0.0.1", metavar="NAME", help="name or address of this machine to serve on")
    add("--port", type=types.port, default=8000, metavar="N", help="TCP port; 0 chooses a free one")
    add("--no-open", action="store_true", help="print the address without opening the browser")


def run(arguments: argparse.Namespace) -> int:
    """Serve the page until Ctrl+C, and return the exit code."""
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
                print(_NOT_LOCAL.format(server.network_url), file=sys.stderr)
            if not arguments.no_open:
                # A browser in the terminal would only return when it is closed.
                threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
            server.serve_forever()
    except KeyboardInterrupt:  # how it ends
        pass
    return 0


_NOT_LOCAL = (
    "note: others on the network can open it at {}\nbrowsers allow camera and threads only on localhost"
)
