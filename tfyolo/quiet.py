"""Silence noisy libraries, and keep OpenVINO from sending telemetry.

TensorFlow's C++ libraries write to stderr during import, before any log level is set, and the converter
writes about unused flags.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import os
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import IO, Any

from tfyolo.errors import TfyoloError


def hide_import_notes() -> None:
    """Hide stderr during the import of TensorFlow, unless TF_CPP_MIN_LOG_LEVEL is 0 or 1."""
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL", "3") not in ("0", "1"):
        sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    """Meta path finder that wraps the loader of `tensorflow`.

    Libraries that only look for TensorFlow with `find_spec` do not import it.
    """

    def __init__(self) -> None:
        self._asking = False

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "tensorflow" or self._asking:
            return None
        self._asking = True
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            self._asking = False
        if spec and spec.loader:
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                if self in sys.meta_path:
                    sys.meta_path.remove(self)
                with hidden_stderr():
                    execute(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


class _HiddenStderr:
    """File descriptor 2 with a counter: the last of several threads restores it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._failed = False
        self._saved = -1
        self._notes: IO[bytes] | None = None

    def hide(self) -> bool:
        """Redirect stderr, or share a redirection; returns False without stderr."""
        with self._lock:
            if self._users == 0:
                try:
                    self._saved = os.dup(2)
                except OSError:
                    return False
                self._notes = tempfile.TemporaryFile()  # noqa: SIM115 - closed by the last user
                self._failed = False
                os.dup2(self._notes.fileno(), 2)
            self._users += 1
            return True

    def show(self, failed: bool) -> None:
        """Restore stderr; the hidden output is printed if a user failed."""
        with self._lock:
            self._users -= 1
            self._failed = self._failed or failed
            if self._users or self._notes is None:
                return
            os.dup2(self._saved, 2)
            if self._failed:
                self._notes.seek(0)
                os.write(self._saved, self._notes.read())
            os.close(self._saved)
            self._notes.close()


_STDERR = _HiddenStderr()


@contextlib.contextmanager
def hidden_stderr() -> Iterator[None]:
    """Context manager: hide stderr; the output is printed after an unexpected exception.

    TensorFlow's notes, which go to stdout in a notebook, are hidden as well.
    """
    hidden, failed = _STDERR.hide(), False
    tensorflow = logging.getLogger("tensorflow")
    level = tensorflow.level
    try:
        tensorflow.setLevel(max(level, logging.WARNING))
        yield
    except (TfyoloError, KeyboardInterrupt):  # says itself what is wrong; nothing is
        raise
    except BaseException:
        failed = True
        raise
    finally:
        tensorflow.setLevel(level)
        if hidden:
            _STDERR.show(failed)


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Discard what a library prints to stdout and stderr, its warnings, and its log records below ERROR."""
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with (
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
            hidden_stderr(),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(previous)


def import_openvino() -> Any:
    """Import `openvino` without its telemetry.

    OpenVINO and NNCF send events over the network from their import on, unless the telemetry package is
    missing. A program that has imported OpenVINO before is not affected.
    """
    if "openvino" not in sys.modules:
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino
