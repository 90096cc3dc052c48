"""Hooks of MkDocs: add generated pages, and copy Mermaid and KaTeX next to the site's own files."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

TOOLS = Path(__file__).parent
ROOT = TOOLS.parents[1]
sys.path.insert(0, str(ROOT))
REPOSITORY = "https://github.com/tfyolo/tfyolo/blob/main"

VENDOR = {
    "mermaid/dist/mermaid.min.js": "mermaid.min.js",
    "iframe-worker/shim/index.js": "iframe-worker.js",
    "katex/dist/katex.min.js": "katex.min.js",
    "katex/dist/katex.min.css": "katex.min.css",
    "katex/dist/contrib/auto-render.min.js": "auto-render.min.js",
    "katex/dist/fonts/*.woff2": "fonts/{name}",
}
"""Files of Node packages that pages load, and where in `tools/vendor` each goes.

KaTeX looks for its fonts in `fonts/`. For the search without a server, the offline plugin would load
iframe-worker from another host.
"""


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
    for pattern, target in VENDOR.items():
        paths = sorted((TOOLS / "node_modules").glob(pattern))
        if not paths:
            raise PluginError(f"{pattern} is missing: run `make docs`, which calls npm")
        for source in paths:
            uri = "tools/vendor/" + target.format(name=source.name)
            files.append(File.generated(config, uri, abs_src_path=str(source)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Change what viewers of Markdown understand and MkDocs does not.

    Words after the language of a code fence, which are for tests, are removed. Links to files outside of
    `docs`, such as examples, become links to the repository.
    """
    markdown = re.sub(r"^(\s*```+\w+) [\w ]+$", r"\1", markdown, flags=re.MULTILINE)
    folder = (TOOLS.parent / page.file.src_uri).parent

    def link(match: re.Match[str]) -> str:
        target = Path(os.path.normpath(folder / match[1]))
        outside = target.is_relative_to(ROOT) and not target.is_relative_to(TOOLS.parent)
        return f"]({REPOSITORY}/{target.relative_to(ROOT).as_posix()}{match[2]})" if outside else match[0]

    return re.sub(r"\]\((\.\./[^)#\s]*)(#[^)\s]*|)\)", link, markdown)


def on_post_build(config: Any, **_: Any) -> None:
    """Leave the measured numbers of the benchmarks out of the search: nobody looks for one of them.

    Lunr identifies states of its index by strings that concatenate labels and numbers of states without a
    separator, so thousands of numbers can make two states equal; searches for numbers then end in an error.
    """
    path = Path(config.site_dir) / "search/search_index.json"
    index = json.loads(path.read_text("utf-8"))
    for section in index["docs"]:
        if section["location"].startswith("benchmarks.html"):
            section["text"] = re.sub(r"\(?-?\d+\.\d+\)?", "", section["text"])
    path.write_text(json.dumps(index), "utf-8")
