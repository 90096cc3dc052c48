"""Old names of arguments keep working for one release, with a `DeprecationWarning` that gives the new one."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, TypeVar, cast

Function = TypeVar("Function", bound=Callable[..., Any])


def renamed_arguments(**new_names: str) -> Callable[[Function], Function]:
    """Let a function, or the constructor of a class, accept old names of keyword arguments.

    Args:
        new_names: the new name of each old one, such as `batch="batch_size"`.

    Returns:
        A decorator for a function or a class. Calls that use an old name raise a `DeprecationWarning`, and a
        `TypeError` where the new name is given as well.

    Example:
        >>> @renamed_arguments(batch="batch_size")
        ... def steps(images: int, batch_size: int) -> int:
        ...     return images // batch_size
        >>> with warnings.catch_warnings():
        ...     warnings.simplefilter("ignore")
        ...     steps(64, batch=16)
        4
    """

    def decorate(function: Function) -> Function:
        if isinstance(function, type):
            # As attributes of the class stay where they are, only its constructor is wrapped.
            cls: Any = function
            cls.__init__ = decorate(cls.__init__)
            return function

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            for old in [name for name in kwargs if name in new_names]:
                new = new_names[old]
                if new in kwargs:
                    raise TypeError(
                        f"{function.__qualname__}: `{old}` is the old name of `{new}`: pass one of them"
                    )
                warn_renamed(f"argument `{old}`", f"`{new}`")
                kwargs[new] = kwargs.pop(old)
            return function(*args, **kwargs)

        return cast(Function, wrapped)

    return decorate


def warn_renamed(old: str, new: str, *, stacklevel: int = 2) -> None:
    """Warn that a name is an old one.

    Args:
        old: old name as shown in the message, such as "argument `batch`".
        new: name to use instead.
        stacklevel: `stacklevel` of `warnings.warn`, counted from the caller.
    """
    warnings.warn(f"{old} is deprecated and will be removed: use {new}", DeprecationWarning, stacklevel + 1)
