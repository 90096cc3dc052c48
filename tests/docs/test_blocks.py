"""Each block of the documents says its language and what it needs; links lead somewhere; commands exist."""

import re
from importlib import import_module

import pytest

from docs.tools.blocks import NEEDS, ROOT
from tests.docs.pages import BLOCKS, COMMANDS, DOCUMENTS, commands_in, place
from tfyolo.cli.main import COMMANDS as COMMAND_NAMES
from tfyolo.cli.parser import Parser

LANGUAGES = {
    *("sh", "python", "kotlin", "swift", "js", "ts", "tsx", "html", "yaml", "json", "toml"),
    *("mermaid", "text", "c", "groovy", "xml", "dockerfile"),
}


def test_every_block_says_its_language_and_what_it_needs():
    for block in BLOCKS:
        assert block.language in LANGUAGES, place(block)
        assert block.info in ("", "output" if block.language == "text" else "", *NEEDS), place(block)
    assert len(BLOCKS) > 100


def test_what_a_registry_or_a_server_is_needed_for_is_marked():
    """Unmarked blocks of the documents run in tests, which have no internet."""
    for block in BLOCKS:
        is_page = block.path == ROOT / "README.md" or ROOT / "docs" in block.path.parents
        if is_page and block.language == "sh" and not block.info:
            first = {words[0] for words in commands_in(block.code)}
            assert not first & {"pip", "npm", "npx", "docker"}, place(block)


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words)[:80])
def test_commands_take_the_flags_of_the_documents(words):
    assert words[1] in COMMAND_NAMES, COMMANDS[words][0]
    module = import_module(f"tfyolo.cli.{words[1].replace('-', '_')}")
    parser = Parser(prog=f"tfyolo {words[1]}", allow_abbrev=False)
    module.add_arguments(parser)
    parser.parse_args(list(words[2:]))


def test_other_commands_of_the_documents_exist():
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for block in BLOCKS:
        for words in commands_in(block.code) if block.language == "sh" else ():
            if words[0] == "make":
                assert {word for word in words[1:] if "=" not in word} <= targets, place(block)
            elif block.info == "device":
                continue
            elif words[0] == "python":
                exists = (ROOT / words[1]).is_file() or (block.path.parent / words[1]).is_file()
                assert exists or words[1] in ("client.py", "-m"), place(block)
            else:
                known = ("tfyolo", "pip", "npm", "npx", "docker", "cd", "pre-commit")
                assert words[0] in known, f"{place(block)}: {words[0]}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_documents_lead_somewhere(document):
    """MkDocs checks those of the site; some pages are generated when it is built."""
    text = re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL)
    for target, heading in re.findall(r"\]\((?!https?:)([^)#\s]*)(#[^)\s]*)?\)", text):
        path = document if not target else document.parent / target
        if re.search(r"reference/(cli/|errors)|notebooks/", path.as_posix()) and path.suffix == ".md":
            continue
        assert path.exists(), f"{document}: {target}"
        if heading and "reference" not in path.parts:
            titles = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
            slugs = {re.sub(r"[^a-z0-9 _-]", "", title.lower()).replace(" ", "-") for title in titles}
            assert heading[1:] in slugs, f"{document}: {target}{heading}"
