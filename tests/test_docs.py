"""Blocks of the documents: the README's run as they stand, others are understood by the commands they call.

What stands behind the language of a block is hidden by viewers of Markdown, and says what the block needs:
`internet` (official weights or datasets, or a registry), `machines` (several), `server` (it never ends). The
commands of all other blocks are run by `make test-slow`, on what ships, at 64 pixels and for an epoch.
"""

import os
import re
import shlex
import shutil
from importlib import import_module
from pathlib import Path

import pytest

import tfyolo
from tfyolo.assets import DEFAULT_MODEL, MINI_DATA
from tfyolo.cli.main import COMMANDS, main
from tfyolo.cli.parser import Parser

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
DOCUMENTS += [ROOT / "web_demo/README.md", ROOT / "android_demo/README.md"]
LANGUAGES = {"sh", "python", "kotlin", "swift", "js", "html", "yaml", "mermaid", "text"}
NEEDS = {"", "internet", "machines", "server"}


def markdown_blocks(document):
    """Line, language, needs and code of each block."""
    found, opened = [], None
    for number, line in enumerate(document.read_text().splitlines(), 1):
        if fence := re.fullmatch(r"\s*```(\w*) ?(.*)", line):
            if opened is None:
                opened = (number, fence[1], fence[2], [])
            else:
                found.append((*opened[:3], "\n".join(opened[3]) + "\n"))
                opened = None
        elif opened is not None:
            opened[3].append(line)
    assert opened is None, f"{document} ends in a block"
    return found


BLOCKS = [(document, *block) for document in DOCUMENTS for block in markdown_blocks(document)]


def lines_of(code):
    """Commands of a block of `sh`, each a list of words; comments are gone, continued lines are one."""
    for line in code.replace("\\\n", " ").splitlines():
        for part in re.split(r"&&|>", line)[: 1 if ">" in line else None]:
            words = shlex.split(part, comments=True)
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0], re.DOTALL):
                words.pop(0)
            if words:
                yield words


COMMAND_LINES = sorted(
    {
        (f"{document.relative_to(ROOT)}:{line}", tuple(words), needs)
        for document, line, language, needs, code in BLOCKS
        if language == "sh"
        for words in lines_of(code)
        if words[0] == "tfyolo"
    }
)


def test_every_block_says_its_language_and_what_it_needs():
    for document, line, language, needs, _ in BLOCKS:
        assert language in LANGUAGES, f"{document}:{line}"
        assert needs in NEEDS, f"{document}:{line}"
    assert len(BLOCKS) > 40


@pytest.mark.parametrize(("place", "words", "needs"), COMMAND_LINES, ids=lambda value: str(value)[:80])
def test_commands_take_the_flags_of_the_documents(place, words, needs):
    assert words[1] in COMMANDS, place
    module = import_module(f"tfyolo.cli.{words[1].replace('-', '_')}")
    parser = Parser(prog=f"tfyolo {words[1]}", allow_abbrev=False)
    module.add_arguments(parser)
    parser.parse_args(list(words[2:]))


def test_other_commands_of_the_documents_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for document, line, language, _, code in BLOCKS:
        for words in lines_of(code) if language == "sh" else ():
            if words[0] == "make":
                assert {word for word in words[1:] if "=" not in word} <= targets, f"{document}:{line}"
            elif words[0] == "python":
                assert (ROOT / words[1]).is_file() or words[1] in ("client.py", "-m"), f"{document}:{line}"
            else:
                known = ("tfyolo", "pip", "npm", "docker", ".venv/bin/pre-commit")
                assert words[0] in known, f"{document}:{line}: {words[0]}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_documents_lead_somewhere(document):
    text = re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL)
    for target, heading in re.findall(r"\]\((?!https?:)([^)#\s]*)(#[^)\s]*)?\)", text):
        path = document if not target else document.parent / target
        assert path.exists(), f"{document}: {target}"
        if heading:
            titles = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
            slugs = {re.sub(r"[^a-z0-9 _-]", "", title.lower()).replace(" ", "-") for title in titles}
            assert heading[1:] in slugs, f"{document}: {target}{heading}"


SMALLER = (
    ("--img 320", "--img 64"),
    ("--epochs 2", "--epochs 1"),
    ("image_size=320", "image_size=64"),
    ("train --weights bccd-n", "train --weights micro.keras"),
    ('training_model("bccd-n"', 'training_model("micro.keras"'),
    ("--int8 --data", "--int8 --calibration 8 --data"),
)
"""Training a real network takes minutes; `make test-slow` runs the README's lines as they stand."""


@pytest.mark.parametrize("smaller", [SMALLER, pytest.param((), marks=pytest.mark.slow)])
def test_the_readme_runs_as_a_new_user_pastes_it(tmp_path, monkeypatch, capsys, smaller):
    monkeypatch.chdir(tmp_path)
    text, names = (ROOT / "README.md").read_text(), ("Platelets", "RBC", "WBC")
    assert all(large in text for large, _ in smaller)
    tfyolo.create(ROOT / "tests/micro.yaml", names=names).save("micro.keras")
    variables = {}
    for _, _, language, _, block in [entry for entry in BLOCKS if entry[0] == ROOT / "README.md"]:
        code = block
        for large, small in smaller:
            code = code.replace(large, small)
        if language == "sh":
            for words in lines_of(code):
                if words[0] == "tfyolo":
                    run(*words[1:])
        elif language == "python":
            exec(compile(code, "README.md", "exec"), variables)
    said = capsys.readouterr().out
    pattern = r"\{'Platelets': (\d+), 'RBC': (\d+), 'WBC': (\d+)\}"
    counts, shown = (re.search(pattern, x) for x in (said, text))
    boxes, documented = (re.search(r"24 images, (\d+) boxes, 0 skipped", x) for x in (said, text))
    # Processors add up in different orders, and a box at the threshold may be in or out.
    assert [int(x) for x in counts.groups()] == pytest.approx([int(x) for x in shown.groups()], abs=1)
    assert int(boxes[1]) == pytest.approx(int(documented[1]), abs=4)
    assert "detector with 3 classes, int8" in said
    assert {path.name for path in tmp_path.iterdir()} >= {"cells.tflite", "cells.jpg", "cells.keras", "runs"}
    assert tfyolo.load("cells.keras").names == names


def less(words):
    """What is added to a command of a document, so that it takes seconds."""
    small, few = ["--img", "64"], ["--calibration", "8"]
    match words[1]:
        case "train":
            return ["--epochs", "1", *small]
        case "export":
            return ["--output", "made", *([*small, *few] if "--data" in words else [])]
        case "quantize":
            return ["--output", "made.keras", "--steps", "2", *few, *([] if "cells" in words else small)]
        case "quant-debug":
            return small
        case "classify" if words[2] == "train":
            return ["--epochs", "1"]
    return []


def run(*words):
    assert main(list(words)) == 0, words


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """A folder with the files that documents name, made from what ships."""
    folder, before = tmp_path_factory.mktemp("documents"), Path.cwd()
    shutil.copytree(MINI_DATA.parent, folder / "bccd-mini")
    for name in ("fruit.yaml", "bccd.yaml"):
        (folder / name).write_text("path: bccd-mini\n" + MINI_DATA.read_text())
    shutil.copy(DEFAULT_MODEL, folder / "best.keras")
    os.chdir(folder)
    run("export", "--weights", "best.keras", "--include", "pt", "--output", "yolov5n")
    run("export", "--weights", "best.keras", "--include", "tflite", "--img", "64")
    run("crops", "--data", "bccd.yaml", "--out", "cells")
    run("classify", "train", "--data", "cells", "--model", "yolov5n-cls", "--img", "64", "--epochs", "1")
    shutil.copy("runs/train-cls/exp/weights/best.keras", "classifier.keras")
    run("quantize", "--weights", "best.keras", "--data", "fruit.yaml", "--img", "64", "--steps", "0")
    os.chdir(before)
    return folder


TO_RUN = [
    (place, words)
    for place, words, needs in COMMAND_LINES
    if not needs and not place.startswith("README") and "--resume" not in words
]


@pytest.mark.slow
@pytest.mark.parametrize(("place", "words"), TO_RUN, ids=lambda value: str(value)[:80])
def test_commands_of_the_documents_run(workspace, monkeypatch, place, words):
    monkeypatch.chdir(workspace)
    if words[1] == "crops":
        shutil.rmtree("cells")
    run(*words[1:], *less(words))
