"""The parser of subcommands: mistakes in one line, with the flag that was probably meant."""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from tfyolo.text import printable


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line instead of repeating the usage.

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
        """As argparse does; unknown flags of a subcommand are reported by its own parser."""
        self._words = list(sys.argv[1:] if args is None else args)
        found, unknown = super().parse_known_args(self._words, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown

    def error(self, message: str) -> NoReturn:
        """Print and exit with 2."""
        hints = "".join(f"; {hint}" for hint in [*self._flags_meant(), *_choice_meant(message)])
        print(printable(f"error: {message}{hints} (see `{self.prog} --help`)"), file=sys.stderr)
        sys.exit(2)

    def _flags_meant(self) -> Iterable[str]:
        """For each unknown flag the known one that is most like it."""
        if self._subparsers is not None:  # which know the flags
            return
        known = [flag for flag in self._option_string_actions if flag.startswith("--")]
        for word in self._words:
            if word == "--":
                return
            flag = word.partition("=")[0]
            if flag in self._option_string_actions or not re.match(r"--?[A-Za-z]", flag):
                continue
            if near := closest(f"--{flag.lstrip('-').replace('_', '-')}", known):
                yield f"did you mean `{near}` instead of `{flag}`?"


def closest(word: str, known: Iterable[str]) -> str | None:
    """The word of `known` that is most like `word`, whatever its case; None where none is.

    Example:
        >>> closest("--wieghts", ["--weights", "--img"])
        '--weights'
    """
    lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), lower, 1)
    return lower[near[0]] if near else None


def _choice_meant(message: str) -> Iterable[str]:
    """The choice that was probably meant, by argparse's message about a wrong one."""
    match = re.search(r"invalid choice: '(.*)' \(choose from (.*)\)", message)
    if match and (near := closest(match[1], re.findall(r"'([^']*)'", match[2]))):
        yield f"did you mean `{near}`?"
