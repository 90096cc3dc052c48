"""Text that comes from files, made fit for a terminal."""


def printable(text: str, keep: str = "") -> str:
    """`text` with control characters written out.

    Class names come with model files and file names with archives: an escape sequence in one could rewrite
    what the terminal shows.

    Args:
        text: any.
        keep: control characters to leave, such as a newline.

    Example:
        >>> print(printable("cat" + chr(27) + "[2J"))
        cat\\x1b[2J
    """
    return "".join(c if c.isprintable() or c in keep else repr(c)[1:-1] for c in text)
