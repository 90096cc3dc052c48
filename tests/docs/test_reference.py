"""The reference has every public name, every option of every command, and every error message."""

import argparse
import re

import pytest

import tfyolo
from docs.tools.blocks import ROOT
from docs.tools.commands import command_pages
from docs.tools.errors import error_messages, errors_page
from docs.tools.zoo import model_table
from tfyolo.cli.main import COMMANDS, command_parser

REFERENCE = ROOT / "docs/reference"


def test_every_public_name_is_in_the_reference_once():
    text = "".join(path.read_text() for path in sorted(REFERENCE.glob("*.md")))
    documented = re.findall(r"^::: tfyolo\.(\w+)$", text, re.MULTILINE)
    assert sorted(documented) == sorted(set(tfyolo.__all__) - {"__version__"})


def test_the_index_of_the_reference_links_to_every_public_name():
    index = (REFERENCE / "index.md").read_text()
    for name, page, anchor in re.findall(r"\[`(\w+)`\]\((\w+\.md)#tfyolo\.(\w+)\)", index):
        assert name == anchor
        assert f"::: tfyolo.{name}\n" in (REFERENCE / page).read_text()
    assert set(re.findall(r"\[`(\w+)`\]", index)) == set(tfyolo.__all__) - {"__version__"}


def options(parser):
    """Every option and argument of a parser and its subcommands, except for --help and hidden ones."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                yield from options(child)
        elif action.help != argparse.SUPPRESS and "--help" not in action.option_strings:
            yield action


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_a_command_is_on_its_page(name):
    page = command_pages()[f"reference/cli/{name}.md"]
    for action in options(command_parser(name)):
        label = action.option_strings[-1] if action.option_strings else action.metavar or action.dest
        assert re.search(rf"^\| `[^|]*{re.escape(str(label))}\b", page, re.MULTILINE), (name, label)


def test_every_error_message_is_on_the_page_of_errors():
    """The page is made from calls of `TfyoloError`; a raise that it cannot read would be missing."""
    raised = 0
    for package in ("tfyolo", "export"):
        for path in (ROOT / package).rglob("*.py"):
            if "tfyolo/export" not in path.as_posix():
                raised += len(re.findall(r"\b(?:TfyoloError|RefusedError)\(\s*f?\"", path.read_text()))
    messages = error_messages()
    assert len(messages) >= raised > 300
    page = errors_page()
    assert "`names` has" in page
    assert page.count("\n| ") > 300


def test_a_table_of_models_has_the_figures_of_yolov5():
    assert "| yolov5n | 640 | 1,872,157 | 4.6 |" in model_table(["yolov5n"])
