"""The languages of snippets: how each writes text and lists, and which formats it has a client for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Language:
    """One language; its template is `<name>.txt` beside this module."""

    name: str
    """What the user types after --snippet."""
    formats: tuple[str, ...]
    """Of `tfyolo.export.registry`."""
    comment: str
    """How a line of comment begins."""
    escape: Callable[[int], str]
    """A character by its code, inside quotes."""
    brackets: tuple[str, str] = ("[", "]")
    """Around the items of a list."""
    special: str = ""
    """Characters that mean something inside quotes, beside quotes and backslashes."""

    def text(self, value: str) -> str:
        """A string literal; names come from model files, and must not end the literal or act on a terminal.

        Example:
            >>> print(find_language("kotlin").text('a "$b"'))
            "a \\"\\$b\\""
        """
        parts = []
        for character in value:
            if character in ('"', "\\", *self.special):
                parts.append("\\" + character)
            else:
                parts.append(character if character.isprintable() else self.escape(ord(character)))
        return f'"{"".join(parts)}"'

    def list(self, values: tuple[str, ...], indent: str = "    ", width: int = 96) -> str:
        """A list of string literals: on one line if it fits, else on lines of `width` columns."""
        items = [self.text(value) for value in values]
        opening, closing = self.brackets
        if sum(map(len, items)) + 2 * len(items) < 60:
            return opening + ", ".join(items) + closing
        lines = [""]
        for item in items:
            if lines[-1] and len(indent) + len(lines[-1]) + len(item) > width:
                lines.append("")
            lines[-1] += item + ", "
        body = "\n".join(indent + line.rstrip() for line in lines)
        return f"{opening}\n{body}\n{closing}"


def _utf16(code: int) -> str:
    """Units of UTF-16, as Java counts characters."""
    units = [code] if code < 0x10000 else [0xD800 + (code - 0x10000 >> 10), 0xDC00 + (code - 0x10000 & 0x3FF)]
    return "".join(f"\\u{unit:04x}" for unit in units)


def _braces(code: int) -> str:
    return f"\\u{{{code:x}}}"


LANGUAGES: tuple[Language, ...] = (
    Language("python", ("tflite", "onnx"), "#", lambda code: f"\\U{code:08x}"),
    Language("kotlin", ("tflite",), "//", _utf16, brackets=("listOf(", ")"), special="$"),
    Language("js", ("tflite", "tfjs"), "//", _braces),
    Language("swift", ("tflite",), "//", _braces),
)


def find_language(name: str) -> Language:
    """The entry of a name."""
    return next(entry for entry in LANGUAGES if entry.name == name)
