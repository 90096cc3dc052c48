"""Notebooks: executed with `python -m docs.tools.notebooks [NAME ...]`, shown as pages with their outputs."""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "notebooks"
VARIES = "varies"
"""Tag of cells whose output depends on the machine, such as times, or on rounding in a training."""


def execute(path: Path) -> Any:
    """Run a notebook in an empty folder.

    Args:
        path: the `.ipynb` file; it does not change.

    Returns:
        The notebook with its new outputs.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell raised an error.
    """
    import nbformat
    from nbclient import NotebookClient

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        resources = {"metadata": {"path": folder}}
        NotebookClient(notebook, kernel_name="python3", resources=resources).execute()
    for cell in notebook.cells:
        # Times of execution, and the order in which a pipe was read, would change with each run.
        cell.metadata.pop("execution", None)
        if "outputs" in cell:
            cell.outputs = _joined(cell.outputs)
    return notebook


def _joined(outputs: list[Any]) -> list[Any]:
    """Join the pieces of a cell's standard output, and drop its standard error."""
    texts = [output for output in outputs if output.output_type == "stream" and output.name == "stdout"]
    others = [output for output in outputs if output.output_type != "stream"]
    if texts:
        texts[0].text = "".join(output.text for output in texts)
    return [*texts[:1], *others]


def text_of(cell: Any) -> list[str]:
    """Return the text that a cell printed or returned, without images."""
    texts = []
    for output in cell.get("outputs", []):
        if output.output_type == "stream":
            texts.append(output.text)
        elif "image/png" not in output.get("data", {}):
            texts.append(output.get("data", {}).get("text/plain", ""))
    return texts


def notebook_pages() -> dict[str, str]:
    """Return the Markdown of each notebook by the path of its page; images are embedded."""
    import base64

    from nbconvert import MarkdownExporter

    exporter = MarkdownExporter()
    pages = {}
    for path in sorted(FOLDER.glob("*.ipynb")):
        body, resources = exporter.from_filename(str(path))
        for name, data in resources.get("outputs", {}).items():
            kind = "jpeg" if name.endswith((".jpg", ".jpeg")) else "png"
            uri = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
            body = body.replace(f"({name})", f"({uri})")
        pages[f"notebooks/{path.stem}.md"] = body
    return pages


def main() -> None:
    """Execute notebooks, and keep their outputs."""
    import nbformat

    names = sorted(path.stem for path in FOLDER.glob("*.ipynb"))
    parser = argparse.ArgumentParser(prog="python -m docs.tools.notebooks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *names], metavar="NAME", help=", ".join(names))
    for name in parser.parse_args().names or names:
        path = FOLDER / f"{name}.ipynb"
        nbformat.write(execute(path), path)
        print(name)


if __name__ == "__main__":
    main()
