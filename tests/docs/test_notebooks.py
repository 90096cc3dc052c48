"""The notebooks run on what ships, and print what they were saved with.

Numbers may differ as they do between processors; outputs of cells with the tag `varies`, such as times, are
not compared.
"""

import re

import nbformat
import pytest

from docs.tools.notebooks import FOLDER, VARIES, execute, text_of

NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")


@pytest.mark.parametrize(
    "path",
    [
        # Each is a process of its own, so that workers share the notebooks.
        pytest.param(path, marks=pytest.mark.xdist_group(f"notebook-{path.stem}"), id=path.stem)
        for path in sorted(FOLDER.glob("*.ipynb"))
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_a_notebook_prints_what_it_was_saved_with(path):
    saved, executed = nbformat.read(path, as_version=4), execute(path)
    compared = 0
    for cell, again in zip(saved.cells, executed.cells, strict=True):
        if cell.cell_type == "code":
            assert cell.outputs or not re.search(r"print|^\w+$", cell.source), (
                f"no output kept: {cell.source}"
            )
        if VARIES in cell.metadata.get("tags", []):
            continue
        before, after = ("\n".join(text_of(one)) for one in (cell, again))
        assert NUMBER.sub("#", before) == NUMBER.sub("#", after), cell.source
        numbers = [[float(x) for x in NUMBER.findall(text)] for text in (before, after)]
        assert numbers[1] == pytest.approx(numbers[0], rel=0.05, abs=1.01), cell.source
        compared += bool(before)
    assert compared >= 3


def test_there_are_five_notebooks_without_paths_of_a_machine():
    paths = sorted(FOLDER.glob("*.ipynb"))
    assert [path.stem for path in paths] == ["deploy", "detect", "keras-fit", "quantize", "train"]
    for path in paths:
        assert not re.search(r"/home/|/root/|/tmp/|/work/", path.read_text()), path
