"""`tfyolo profile`."""

from __future__ import annotations

import argparse

from tfyolo.cli import argument_types as types
from tfyolo.cli import arguments as options

NEEDS = ("tensorflow", "keras")
EXAMPLES = (
    "tfyolo profile SPP SPPF --channels 1024 --size 64 --batch 16",
    "tfyolo profile 'Conv(256, 3)' 'GhostConv(256, 3)' C3 C3TR --channels 256",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command to its parser."""
    add = options.group(parser, "model")
    add(
        "blocks",
        nargs="+",
        metavar="BLOCK",
        help="names of blocks, with arguments in parentheses; the number of filters defaults to --channels",
    )
    add("--channels", type=types.positive, default=256, metavar="N", help="number of input channels")
    add("--size", type=types.positive, default=64, metavar="PX", help="height and width of the input")
    add("--batch", "--batch-size", type=types.positive, default=16, metavar="N", help="images per batch")
    add = options.group(parser, "hardware")
    add("--repeats", type=types.positive, default=5, metavar="N", help="number of timed rounds")
    options.add_device(parser)


def run(arguments: argparse.Namespace) -> int:
    """Measure the blocks, print a table, and return the exit code."""
    from rich.markup import escape
    from rich.table import Table

    from tfyolo.cli.console import console
    from tfyolo.cli.progress import progress_bar
    from tfyolo.models.reports.profile import profile_blocks

    with progress_bar() as progress:
        profiles = profile_blocks(
            arguments.blocks, arguments.channels, arguments.size, arguments.batch, arguments.repeats, progress
        )
    shape = f"{arguments.batch} x {arguments.size} x {arguments.size} x {arguments.channels}"
    table = Table(title=f"on {shape}, median of {arguments.repeats} rounds", title_style="bold")
    headings = (
        "block",
        "parameters",
        "GFLOPs per image",
        "activations MB",
        "forward ms",
        "backward ms",
        "relative forward time",
    )
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "block" else "right")
    for profile in profiles:
        table.add_row(
            escape(profile.name),
            f"{profile.parameters:,}",
            f"{profile.gflops:.3f}",
            f"{profile.activations_mb:.1f}",
            f"{profile.forward_ms:.1f}",
            f"{profile.backward_ms:.1f}",
            f"{profile.forward_ms / profiles[0].forward_ms:.2f}",
        )
    console().print(table)
    for profile in profiles[1:]:
        pair = f"{profiles[0].name} and {profile.name}"
        if profile.difference is None:
            print(f"{pair}: weights or outputs differ in shape and are not compared")
        else:
            condition = " with the same weights" if profile.parameters else ""
            print(f"{pair}{condition}: outputs differ by at most {profile.difference:.3g}")
    return 0
