"""`--help` of every command: purpose, default and group of each option, within 80 columns."""

import argparse

import pytest

from tfyolo.cli.arguments import GROUPS
from tfyolo.cli.main import COMMANDS, command_parser


def parsers(parser):
    """A parser and those of its subcommands."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for part in action.choices.values():
                yield from parsers(part)


PARSERS = [parser for name in COMMANDS for parser in parsers(command_parser(name))]
OPTIONS = [
    (parser, action)
    for parser in PARSERS
    for action in parser._actions
    if action.help is not argparse.SUPPRESS
    and not isinstance(action, argparse._HelpAction | argparse._SubParsersAction)
]


def identifier(value):
    if isinstance(value, argparse.ArgumentParser):
        return value.prog
    return value.option_strings[0] if value.option_strings else value.dest


def help_text(parser, action):
    """The text of an option as `--help` shows it."""
    return parser._get_formatter()._get_help_string(action)


@pytest.mark.parametrize(("parser", "action"), OPTIONS, ids=identifier)
def test_an_option_says_what_it_does_its_default_and_its_group(parser, action):
    text = help_text(parser, action)
    assert len(text.partition(" (default")[0].split()) >= 3, text
    titles = [group.title for group in parser._action_groups if action in group._group_actions]
    assert len(titles) == 1
    assert titles[0] in GROUPS
    if action.default not in (None, False, "", [], (), argparse.SUPPRESS):
        assert "(default: " in text


@pytest.mark.parametrize("parser", PARSERS, ids=identifier)
def test_help_is_at_most_80_columns_wide(parser, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = parser.format_help().splitlines()
    assert [line for line in lines if len(line) > 80] == []
    assert "examples:" in lines or parser.prog == "tfyolo classify"


def test_defaults_are_formatted_once_and_lists_without_brackets(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    text = command_parser("train").format_help()
    assert "number of epochs to train (default: 100)\n" in text
    assert "do not train the first N layers, or the layers with these indices (default: 0)\n" in text
    rect = command_parser("val").format_help().partition("--rect")[2].split("\n  --")[0]
    assert rect.count("(default: True)") <= 1
