"""Optional libraries: the extra that installs each, and checks before any work."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass

from tfyolo.errors import MissingExtraError


@dataclass(frozen=True)
class Library:
    """An optional library.

    Attributes:
        module: name that is imported.
        extra: extra of tfyolo that installs it.
        package: name on PyPI, if it differs from the module's.
    """

    module: str
    extra: str
    package: str = ""


LIBRARIES: tuple[Library, ...] = (
    Library("tensorflow", "tensorflow"),
    Library("keras", "tensorflow"),
    Library("matplotlib", "plots"),
    Library("sklearn", "anchors", "scikit-learn"),
    Library("tensorboard", "tensorflow"),
    Library("optuna", "train"),
    Library("tensorflow_model_optimization", "qat", "tensorflow-model-optimization"),
    Library("tf_keras", "qat", "tf-keras"),
    Library("tf2onnx", "onnx"),
    Library("onnxslim", "onnx"),
    Library("torch", "torch"),
    Library("torchvision", "torch"),
    Library("onnx2torch", "torch"),
    Library("openvino", "openvino"),
    Library("nncf", "openvino"),
    Library("coremltools", "coreml"),
    Library("tensorrt", "tensorrt"),
    Library("pandas", "results"),
    Library("supervision", "results"),
)
"""`pyproject.toml` says the same in its extras; a test compares them."""
_WITH_TENSORFLOW = frozenset({"tensorflow", "plots", "anchors"})
_INCLUDES: dict[str, frozenset[str]] = {
    "tensorflow": _WITH_TENSORFLOW - {"tensorflow"},
    **dict.fromkeys(("train", "qat", "onnx", "coreml"), _WITH_TENSORFLOW),
    **dict.fromkeys(("torch", "tensorrt"), _WITH_TENSORFLOW | {"onnx"}),
}
"""Extras that an extra brings with it."""
_BY_MODULE = {library.module: library for library in LIBRARIES}


def require(*modules: str) -> None:
    """Check that libraries are installed, without importing them.

    Args:
        modules: entries of `LIBRARIES`, by `module`.

    Raises:
        MissingExtraError: some are missing; it names all of them and one command that installs them.

    Example:
        >>> require()
    """
    if absent := [_BY_MODULE[module] for module in modules if not is_installed(module)]:
        packages = [library.package or library.module for library in absent]
        names = ", ".join(packages[:-1]) + (" and " if absent[1:] else "") + packages[-1]
        raise MissingExtraError(names, ",".join(_fewest(absent)), plural=len(absent) > 1)


def _fewest(absent: list[Library]) -> list[str]:
    """Return the fewest extras that install some libraries."""
    extras = list(dict.fromkeys(library.extra for library in absent))
    included = frozenset[str]().union(*(_INCLUDES.get(extra, frozenset()) for extra in extras))
    return [extra for extra in extras if extra not in included]


def is_installed(module: str) -> bool:
    """Whether a library can be imported."""
    if module in sys.modules:
        return sys.modules[module] is not None
    try:
        return importlib.util.find_spec(module) is not None
    except ValueError:  # a module that was put into sys.modules without a specification
        return True


def missing_extra(error: ModuleNotFoundError) -> MissingExtraError | None:
    """Return the error for a failed import; None if the module is in no extra."""
    library = _BY_MODULE.get((error.name or "").partition(".")[0])
    return None if library is None else MissingExtraError(library.package or library.module, library.extra)


def keep_triton_out() -> None:
    """Keep PyTorch from importing Triton; must be called before anything imports PyTorch.

    Triton's library aborts a process in which TensorFlow 2.21 is loaded. It is not needed here, and PyTorch
    works without it.
    """
    if "triton" not in sys.modules:
        sys.modules["triton"] = None  # type: ignore[assignment]
