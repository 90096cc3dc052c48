"""The documents and their code blocks, for the tests of this folder."""

import re
import shlex

from docs.tools.blocks import ROOT, markdown_blocks

PAGES = sorted(path for path in (ROOT / "docs").rglob("*.md") if "node_modules" not in path.parts)
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *PAGES]
DOCUMENTS += [ROOT / "web_demo/README.md", ROOT / "android_demo/README.md"]
DOCUMENTS += sorted(path for path in (ROOT / "examples").rglob("*.md") if "node_modules" not in path.parts)
BLOCKS = [block for document in DOCUMENTS for block in markdown_blocks(document)]


def place(block):
    """File and line of a block."""
    return f"{block.path.relative_to(ROOT)}:{block.line}"


def commands_in(code):
    """Commands of a `sh` block, each a list of words, without comments; continued lines are joined."""
    for line in code.replace("\\\n", " ").splitlines():
        for part in re.split(r"&&|>", line)[: 1 if ">" in line else None]:
            words = shlex.split(part, comments=True)
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0], re.DOTALL):
                words.pop(0)
            if words:
                yield [words[0].removeprefix(".venv/bin/"), *words[1:]]


COMMANDS = {}
"""Each distinct `tfyolo` command of the documents: words -> (where it occurs first, what it needs)."""
for block in BLOCKS:
    for words in commands_in(block.code) if block.language == "sh" else ():
        if words[0] == "tfyolo":
            COMMANDS.setdefault(tuple(words), (place(block), block.info))
