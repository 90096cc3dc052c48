"""The Python blocks of each page run, in order, and print what the page says."""

import pytest

from docs.tools.blocks import ROOT, fill_workspace, run_python_blocks
from tests.docs.pages import BLOCKS, PAGES


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("documents")
    fill_workspace(folder)
    return folder


WITH_PYTHON = [
    page
    for page in PAGES
    if any(block.path == page and block.language == "python" and not block.info for block in BLOCKS)
]


@pytest.mark.parametrize("page", WITH_PYTHON, ids=lambda path: str(path.relative_to(ROOT)))
def test_python_blocks_print_what_the_page_says(page, workspace, monkeypatch):
    monkeypatch.chdir(workspace)
    run_python_blocks(page)
