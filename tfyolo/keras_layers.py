"""Register tfyolo's layers with Keras when Keras is imported, without importing Keras.

`keras.saving.load_model` finds layers of other packages only if they are registered: otherwise a `.keras`
file could be read only after an import of the module of the layer.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

_LAYERS = "tfyolo.models.layers"


def register_with_keras() -> None:
    """Register now if Keras is imported, or else when it is."""
    if "keras" in sys.modules:
        _register()
    elif not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def _register() -> None:
    """Import the layers, which registers them, if the backend is TensorFlow."""
    config = getattr(sys.modules["keras"], "config", None)
    if config is not None and config.backend() == "tensorflow":
        importlib.import_module(_LAYERS)


class _Finder(MetaPathFinder):
    """Meta path finder that registers the layers after `keras` has been loaded."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "keras":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec and spec.loader:
            load = spec.loader.exec_module

            def load_and_register(module: ModuleType) -> None:
                load(module)
                _register()

            spec.loader.exec_module = load_and_register  # type: ignore[method-assign]
        return spec
