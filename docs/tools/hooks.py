"""Hooks of MkDocs: add generated pages, and copy Mermaid and KaTeX next to the site's own files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

TOOLS = Path(__file__).parent
ROOT = TOOLS.parents[1]
sys.path.insert(0, str(ROOT))

VENDOR = {
    "mermaid/dist": ("mermaid.min.js",),
    "katex/dist": ("katex.min.js", "katex.min.css"),
    "katex/dist/contrib": ("auto-render.min.js",),
    "katex/dist/fonts": ("*.woff2",),
}
"""Files of Node packages that pages load; KaTeX looks for its fonts in `fonts/` next to its style sheet."""


def on_files(files: Files, config: Any) -> Files:
    """Add generated pages and vendored files."""
    from docs.tools.commands import command_pages
    from docs.tools.errors import errors_page
    from docs.tools.notebooks import notebook_pages
    from docs.tools.zoo import fill_model_tables

    pages = {**command_pages(), "reference/errors.md": errors_page(), **notebook_pages()}
    for path, content in pages.items():
        files.append(File.generated(config, path, content=content))
    for file in files.documentation_pages():
        fill_model_tables(file)
    modules = TOOLS / "node_modules"
    for folder, patterns in VENDOR.items():
        for pattern in patterns:
            found = sorted((modules / folder).glob(pattern))
            if not found:
                raise PluginError(f"{folder}/{pattern} is missing: run `make docs`, which calls npm")
            for path in found:
                inner = "fonts/" if path.suffix == ".woff2" else ""
                files.append(
                    File.generated(config, f"tools/vendor/{inner}{path.name}", abs_src_path=str(path))
                )
    return files
