"""One page per command of `tfyolo`, written from its parser."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from tfyolo.cli.main import COMMANDS, command_parser


def command_pages() -> dict[str, str]:
    """Return the Markdown of each command's page by its path."""
    index = ["# Command line", "", "Every command prints its options with `--help`.", ""]
    index += ["| command | purpose |", "|---|---|"]
    index += [f"| [`tfyolo {name}`]({name}.md) | {purpose} |" for name, purpose in COMMANDS.items()]
    index += ["", "Exit codes: 0 done, 1 something was left out and is named, 2 error, 130 Ctrl-C."]
    pages = {"reference/cli/index.md": "\n".join(index) + "\n"}
    for name in COMMANDS:
        pages[f"reference/cli/{name}.md"] = "\n".join(_page(name, command_parser(name))) + "\n"
    return pages


def _page(title: str, parser: argparse.ArgumentParser, level: int = 1) -> Iterator[str]:
    """Yield the lines of a command's page: purpose, usage, options by group, subcommands, examples."""
    yield from ("#" * level + f" tfyolo {title}", "", parser.description or "", "")
    children = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    for group in parser._action_groups:
        actions = [a for a in group._group_actions if not isinstance(a, argparse._SubParsersAction)]
        actions = [a for a in actions if a.help != argparse.SUPPRESS and "--help" not in a.option_strings]
        if not actions:
            continue
        heading = (group.title or "options").capitalize()
        yield from ("#" * (level + 1) + f" {heading}", "")
        if group.description:
            yield from (group.description, "")
        yield from ("| option | meaning |", "|---|---|")
        yield from (f"| {_option(action)} | {_meaning(parser, action)} |" for action in actions)
        yield ""
    if parser.epilog:
        yield from ("#" * (level + 1) + " Examples", "", "```text", parser.epilog.strip(), "```", "")
    for action in children:
        for name, child in action.choices.items():
            yield from _page(f"{title} {name}", child, level + 1)


def _option(action: argparse.Action) -> str:
    """Return the names of an option with its value, as code."""
    formatter = argparse.HelpFormatter("")
    value = "" if action.nargs == 0 else formatter._format_args(action, _metavar(action))
    names = ", ".join(action.option_strings)
    return f"`{' '.join(filter(None, (names, value)))}`".replace("|", "\\|")


def _metavar(action: argparse.Action) -> str:
    """Return the placeholder of an option's value."""
    if action.choices is not None and action.metavar is None:
        return "{" + ",".join(map(str, action.choices)) + "}"
    return action.dest.upper() if action.option_strings else action.dest


def _meaning(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    """Return the help of an option with its default, escaped for a table."""
    text = parser._get_formatter()._expand_help(action)
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")
