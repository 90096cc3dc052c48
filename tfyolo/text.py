"""Text in messages: safe for a terminal, and with the word that a user may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def printable(text: str, keep: str = "") -> str:
    """Escape control characters in a text.

    Class names come from model files and file names from archives: escape sequences in them could manipulate
    the terminal.

    Args:
        text: any text.
        keep: control characters to keep, such as a newline.

    Example:
        >>> print(printable("cat" + chr(27) + "[2J"))
        cat\\x1b[2J
    """
    return "".join(c if c.isprintable() or c in keep else repr(c)[1:-1] for c in text)


def closest(word: str, known: Iterable[str]) -> str:
    """Return the most similar word of `known`, ignoring case; "" if none is similar.

    Args:
        word: a word that may be misspelled.
        known: correct words.

    Example:
        >>> closest("wieghts", ["weights", "img"])
        'weights'
    """
    return next(iter(all_close(word, known, 1)), "")


def all_close(word: str, known: Iterable[str], count: int = 3) -> list[str]:
    """Return the most similar words of `known`, ignoring case, the best first.

    Args:
        word: a word that may be misspelled.
        known: correct words.
        count: maximum number of words.

    Example:
        >>> all_close("YOLOv5z.yaml", ["yolov5s.yaml", "yolov5n.yaml", "bus.jpg"])
        ['yolov5s.yaml', 'yolov5n.yaml']
    """
    folded = {name.casefold(): name for name in known}
    return [folded[match] for match in difflib.get_close_matches(word.casefold(), folded, count)]
