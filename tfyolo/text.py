"""Make text from files safe for a terminal."""


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
