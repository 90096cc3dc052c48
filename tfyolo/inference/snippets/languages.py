"""Languages of generated clients: how each writes strings and lists, and which formats it supports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Language:
    """A language that clients can be generated in; its template is `<name>.txt` in this folder.

    Attributes:
        name: value of `--snippet`.
        formats: export formats that it supports; names of entries of `tfyolo.export.registry`.
        comment: start of a comment line.
        escape: converts a code point to an escape sequence for string literals.
        brackets: opening and closing bracket of a list literal.
        special: characters to escape in string literals, in addition to quotes and backslashes.
        tasks: tasks whose models it supports.
        reads_urls: whether files are opened by URL.
    """

    name: str
    formats: tuple[str, ...]
    comment: str
    escape: Callable[[int], str]
    brackets: tuple[str, str] = ("[", "]")
    special: str = ""
    tasks: tuple[str, ...] = ("detect", "classify")
    reads_urls: bool = False

    def text(self, value: str) -> str:
        """Return a string literal.

        Class names come from untrusted model files, so everything that could end the literal or control a
        terminal is escaped.

        Args:
            value: text.

        Returns:
            The literal, with quotes.

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
        """Return a list of string literals.

        Args:
            values: texts.
            indent: indentation of the lines.
            width: maximum number of columns, if the list does not fit on one line.

        Returns:
            The list as source code.

        Example:
            >>> find_language("js").list(("cat", "dog"))
            '["cat", "dog"]'
        """
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
    """Return escape sequences of the UTF-16 code units, as Kotlin and Java need them."""
    units = [code] if code < 0x10000 else [0xD800 + (code - 0x10000 >> 10), 0xDC00 + (code - 0x10000 & 0x3FF)]
    return "".join(f"\\u{unit:04x}" for unit in units)


def _braces(code: int) -> str:
    """Return the escape sequence of a code point in JavaScript and Swift."""
    return f"\\u{{{code:x}}}"


LANGUAGES: tuple[Language, ...] = (
    Language(
        "python",
        ("tflite", "onnx"),
        "#",
        lambda code: f"\\U{code:08x}",
        tasks=("detect", "classify", "segment"),
    ),
    Language("kotlin", ("tflite",), "//", _utf16, brackets=("listOf(", ")"), special="$"),
    Language("js", ("tflite", "tfjs"), "//", _braces, reads_urls=True),
    Language("swift", ("tflite",), "//", _braces),
)


def find_language(name: str) -> Language:
    """Return the entry of `LANGUAGES` with this name.

    Args:
        name: name of the language, such as "python".

    Returns:
        The entry.

    Raises:
        StopIteration: if there is none.

    Example:
        >>> find_language("kotlin").formats
        ('tflite',)
    """
    return next(entry for entry in LANGUAGES if entry.name == name)
