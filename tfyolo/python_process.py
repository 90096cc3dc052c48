"""The command line of child processes that run Python."""

from __future__ import annotations

import sys


def python_command(module: str, function: str, *arguments: str) -> list[str]:
    """Return a command that calls a function in a new Python process.

    The process finds modules in the same places as this one. `python -m` would look for them in the working
    directory first, where a `cv2.py` may come with the images that a user has downloaded.

    Args:
        module: module of the function.
        function: name of a function without parameters.
        *arguments: arguments of the command line, `sys.argv[1:]`.

    Example:
        >>> python_command("tfyolo.benchmark.worker", "main", "--threads", "4")[-2:]
        ['--threads', '4']
    """
    code = f"import sys; sys.path[:] = {sys.path!r}; from {module} import {function}; {function}()"
    return [sys.executable, "-c", code, *arguments]
