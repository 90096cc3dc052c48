"""Extension of Griffe: reads `Example:` of keras.io's docstrings as a section of doctests."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object


class Examples(Extension):
    """Rename the section to the name that Griffe knows; it takes `Example:` for an admonition."""

    def on_object(self, *, obj: Object, **kwargs: Any) -> None:
        """Change the docstring of an object before it is parsed."""
        if obj.docstring:
            text = re.sub(r"^(\s*)Example:$", r"\1Examples:", obj.docstring.value, flags=re.MULTILINE)
            # Directives of doctest are of no interest to readers.
            obj.docstring.value = re.sub(r"  # doctest: \+\w+$", "", text, flags=re.MULTILINE)
