"""Code blocks of the documentation, and the folder in which they run.

The words after the language of a code fence state what the block needs that a test does not have; viewers of
Markdown hide them:

- `internet`: official weights or datasets, or a registry
- `machines`: several machines
- `server`: a process that does not end
- `device`: hardware or an operating system, such as a Coral USB Accelerator, an NVIDIA GPU or a Mac
- `fragment`: code that is part of a larger file

`python -m docs.tools.blocks PAGE ...` runs the Python blocks of pages as the tests do: the blocks of one page
share their variables, and a block ```` ```text output ```` is compared with what the block before it printed.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
NEEDS = ("internet", "machines", "server", "device", "fragment")


class Block(NamedTuple):
    """A fenced block of a Markdown file.

    Attributes:
        path: the file.
        line: line number of the opening fence.
        language: "python", "sh", ...
        info: words after the language: what the block needs, or "output".
        code: its lines, without the indentation of the fence.
    """

    path: Path
    line: int
    language: str
    info: str
    code: str


def markdown_blocks(path: Path) -> list[Block]:
    """Return the fenced blocks of a Markdown file in order."""
    blocks: list[Block] = []
    lines = enumerate(path.read_text("utf-8").splitlines(), 1)
    for number, line in lines:
        if not (fence := re.fullmatch(r"(\s*)(```+)(\w*) ?(.*)", line)):
            continue
        indent, ticks, language, info = fence.groups()
        code = []
        for _, inner in lines:
            if inner.strip() == ticks:
                break
            code.append(inner.removeprefix(indent))
        else:
            raise ValueError(f"{path}:{number}: the block has no end")
        blocks.append(Block(path, number, language, info, "\n".join(code) + "\n"))
    return blocks


def run_python_blocks(path: Path) -> None:
    """Execute the Python blocks of a page in the current folder.

    Raises:
        AssertionError: a block printed something else than the output block after it.
    """
    variables: dict[str, object] = {"__name__": "__main__"}
    printed = None
    for block in markdown_blocks(path):
        if block.language == "python" and not block.info:
            stdout = io.StringIO()
            with contextlib.redirect_stdout(stdout):
                # The line numbers of a traceback are those of the page.
                source = "\n" * block.line + block.code
                exec(compile(source, str(path), "exec"), variables)  # noqa: S102 (our own pages)
            printed = stdout.getvalue()
        elif block.language == "text" and block.info == "output":
            place = f"{path}:{block.line}"
            assert printed is not None, f"{place}: no Python block before this output"
            documented, actual = (_lines(text) for text in (block.code, printed))
            assert documented == actual, f"{place}: the block printed\n{printed}"


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip().splitlines()]


def fill_workspace(
    folder: Path,
    detector: Path | None = None,
    classifier: str | Path = "yolov5n-cls",
    images: int | None = None,
) -> None:
    """Write the files that the blocks of the documentation name.

    Args:
        folder: where to write them.
        detector: `.keras` file of a detector of three classes; defaults to the one that ships.
        classifier: configuration of the classifier.
        images: number of images per split of the dataset; defaults to all.

    They are made from what ships: `bccd-mini/` with `bccd.yaml` and `fruit.yaml`; a detector as `best.keras`,
    `best.tflite` and `yolov5n.pt`; `image.jpg`, `bus.jpg` and `video.mp4`; crops of the
    cells as `cells/`, and a classifier with random weights as `classifier.keras`.
    """
    from tfyolo.api.load import create
    from tfyolo.assets import DEFAULT_MODEL, MINI_DATA, SAMPLE_IMAGE
    from tfyolo.cli.main import main

    def tfyolo(*words: str) -> None:
        if main(list(words)) != 0:
            raise RuntimeError(f"tfyolo {' '.join(words)} failed")

    with _chdir(folder):
        shutil.copytree(MINI_DATA.parent, "bccd-mini")
        for split in Path("bccd-mini/images").iterdir() if images else ():
            for path in sorted(split.iterdir())[images:]:
                path.unlink()
        for name in ("fruit.yaml", "bccd.yaml"):
            Path(name).write_text("path: bccd-mini\n" + MINI_DATA.read_text())
        for name in ("image.jpg", "bus.jpg"):
            shutil.copy(SAMPLE_IMAGE, name)
        _write_video(Path("video.mp4"), SAMPLE_IMAGE)
        shutil.copy(detector or DEFAULT_MODEL, "best.keras")
        tfyolo("export", "--weights", "best.keras", "--include", "pt", "--output", "yolov5n")
        tfyolo("export", "--weights", "best.keras", "--include", "tflite", "--img", "64")
        tfyolo("crops", "--data", "bccd.yaml", "--out", "cells")
        create(classifier, names=["Platelets", "RBC", "WBC"], image_size=64).save("classifier.keras")


@contextlib.contextmanager
def _chdir(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _write_video(path: Path, image: Path) -> None:
    """Write ten frames of an image."""
    import cv2

    frame: Any = cv2.imread(str(image))
    height, width = frame.shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10, (width, height))
    for _ in range(10):
        writer.write(frame)
    writer.release()


if __name__ == "__main__":
    pages = [Path(name).resolve() for name in sys.argv[1:]]
    with tempfile.TemporaryDirectory() as name:
        workspace = Path(name)
        fill_workspace(workspace)
        for page in pages:
            with _chdir(workspace):
                run_python_blocks(page)
            print(f"{page.relative_to(ROOT)}: as documented")
