"""Hides TensorFlow's notes, and keeps OpenVINO off the network.

TensorFlow's C++ libraries write about plugins on stderr while they are imported, before any log level holds,
and the converter about flags that it was not given.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from tfyolo.errors import TfyoloError


def hide_import_notes() -> None:
    """Keep the import of TensorFlow off stderr, unless TF_CPP_MIN_LOG_LEVEL asks for notes (0 or 1)."""
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL", "3") not in ("0", "1"):
        sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    """Finds `tensorflow` as the others would, and wraps its loader; once."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "tensorflow":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec and spec.loader:
            spec.loader.exec_module = hidden_stderr()(spec.loader.exec_module)  # type: ignore[method-assign]
        return spec


@contextlib.contextmanager
def hidden_stderr() -> Iterator[None]:
    """Send file descriptor 2 to a file; after an unforeseen exception, what came is shown after all."""
    try:
        saved = os.dup(2)
    except OSError:  # there is no stderr
        yield
        return
    with tempfile.TemporaryFile() as notes:
        os.dup2(notes.fileno(), 2)
        try:
            yield
        except (TfyoloError, KeyboardInterrupt):  # says itself what is wrong; nothing is
            raise
        except BaseException:
            notes.seek(0)
            os.write(saved, notes.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)


def import_openvino() -> Any:
    """`openvino` without its reports to Intel.

    From import on it sends events over the network, and so does NNCF, unless the package for it is missing. A
    program that has imported OpenVINO before has chosen for itself.
    """
    if "openvino" not in sys.modules:
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino
