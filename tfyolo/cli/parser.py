"""The parser of each command: defaults in `--help`, and usage errors in one line with a suggestion."""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, NoReturn

from tfyolo.text import closest, printable

_HELP_COLUMNS = 80
_HAVE_NO_DEFAULT: tuple[Any, ...] = (None, False, "", [], (), argparse.SUPPRESS)


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Formats `--help`, with "(default: X)" after each option that has a default.

    Example:
        >>> parser = argparse.ArgumentParser(prog="tfyolo train", formatter_class=HelpFormatter)
        >>> _ = parser.add_argument("--epochs", default=100, metavar="N", help="number of epochs to train")
        >>> "number of epochs to train (default: 100)" in parser.format_help()
        True
    """

    def _get_help_string(self, action: argparse.Action) -> str:
        text = action.help or ""
        if "(default" in text or action.default in _HAVE_NO_DEFAULT:
            return text
        values = action.default if isinstance(action.default, list | tuple) else [action.default]
        return f"{text} (default: {' '.join(map(str, values)).replace('%', '%%')})"


def examples_text(examples: Sequence[str], notes: Sequence[str] = ()) -> str:
    """Format the examples of a command, at most 80 columns wide, for the end of its `--help`.

    Args:
        examples: command lines, each with a comment after "   # " if need be.
        notes: sentences that follow.

    Returns:
        The text; a comment is printed above its command line.

    Example:
        >>> print(examples_text(["tfyolo train --resume   # the newest unfinished run"]))
        examples:
          # the newest unfinished run
          tfyolo train --resume
    """
    lines = ["examples:"]
    for example in examples:
        command, _, comment = example.partition("   # ")
        lines += [f"  # {comment.strip()}"] if comment else []
        parts = textwrap.wrap(
            command.strip(),
            _HELP_COLUMNS - 4,
            initial_indent="  ",
            subsequent_indent="      ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        lines += [f"{part} \\" for part in parts[:-1]] + parts[-1:]
    wrapped = (textwrap.fill(note, _HELP_COLUMNS) for note in notes)
    return "\n".join(lines) + "".join(f"\n\n{note}" for note in wrapped)


class Parser(argparse.ArgumentParser):
    """A parser that reports a usage error in one line instead of repeating the usage.

    Example:
        >>> parser = Parser(prog="tfyolo val")
        >>> _ = parser.add_argument("--weights", required=True)
        >>> parser.parse_args(["--wieghts=a.pt", "--weights=b.pt"])  # doctest: +SKIP
        error: unrecognized arguments: --wieghts=a.pt; did you mean `--weights` instead of `--wieghts`?
    """

    _words: Sequence[str] = ()

    def parse_known_args(  # type: ignore[override]
        self, args: Any = None, namespace: Any = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse as argparse does; the parser of a subcommand reports its own unknown flags.

        Args:
            args: command line; defaults to that of the process.
            namespace: receives the values.

        Returns:
            The namespace, and an empty list.
        """
        self._words = list(sys.argv[1:] if args is None else args)
        parsed, unknown = super().parse_known_args(self._words, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return parsed, unknown

    def error(self, message: str) -> NoReturn:
        """Print an error with suggestions, and exit with code 2.

        Args:
            message: message of argparse.
        """
        found = [*self._flag_hints(), *self._dash_hints(message), *_choice_hints(message)]
        hints = "".join(f"; {hint}" for hint in found)
        print(printable(f"error: {message}{hints} (see `{self.prog} --help`)"), file=sys.stderr)
        sys.exit(2)

    def _flag_hints(self) -> Iterable[str]:
        """Suggest the most similar known flag for each unknown one."""
        if self._subparsers is not None:  # the parsers of the subcommands have the flags
            return
        # Compared without dashes, which all flags have in common.
        known = [flag[2:] for flag in self._option_string_actions if flag.startswith("--")]
        for word in self._words:
            if word == "--":
                return
            flag = word.partition("=")[0]
            if flag in self._option_string_actions or not re.match(r"--?[A-Za-z]", flag):
                continue
            if similar := closest(flag.lstrip("-").replace("_", "-"), known):
                yield f"did you mean `--{similar}` instead of `{flag}`?"

    def _dash_hints(self, message: str) -> Iterable[str]:
        """Say how to write a value that begins with a dash, such as a file name."""
        found = re.match(r"argument (\S+): expected (?:at least )?one argument", message)
        flags = found[1].split("/") if found else []
        for flag, value in pairwise(self._words):
            if flag in flags and value.startswith("-") and value not in self._option_string_actions:
                yield f"write `{flag}={value}` if that is its value"


def _choice_hints(message: str) -> Iterable[str]:
    """Suggest the most similar choice, from argparse's message about an invalid one."""
    match = re.search(r"invalid choice: '(.*)' \(choose from (.*)\)", message)
    if match and (similar := closest(match[1], re.findall(r"'([^']*)'", match[2]))):
        yield f"did you mean `{similar}`?"
