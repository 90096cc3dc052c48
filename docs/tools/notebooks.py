"""Notebooks as pages, with the outputs that they were saved with."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parents[1] / "notebooks"


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
