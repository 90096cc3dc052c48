"""The names of `tfyolo.__all__`: complete, documented, and imported only when they are used."""

import ast
import contextlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import tfyolo

FUNCTIONS = [name for name in tfyolo.__all__ if inspect.isfunction(getattr(tfyolo, name))]
CLASSES = [name for name in tfyolo.__all__ if inspect.isclass(getattr(tfyolo, name))]
METHODS = [
    (name, method)
    for name in ("Detector", "Classifier")
    for method in ("predict", "evaluate", "fit", "quantize", "export", "benchmark", "save", "summary")
]


def parameters(function):
    return [name for name in inspect.signature(function).parameters if name != "self"]


def returns(function):
    return inspect.signature(function).return_annotation not in (None, "None", inspect.Signature.empty)


def test_the_lists_of_public_names_agree():
    assert set(tfyolo.__all__) == {*tfyolo._PUBLIC, "__version__"}
    assert not set(tfyolo._RENAMED) & set(tfyolo.__all__)
    tree = ast.parse(Path(tfyolo.__file__).read_text())
    typed = next(node for node in tree.body if isinstance(node, ast.If))
    imports = {alias.asname or alias.name for node in typed.body for alias in node.names}
    assert imports == set(tfyolo._PUBLIC)


def test_all_options_and_results_are_public():
    assert {name for name in tfyolo.__all__ if name.endswith("Options")} >= {
        "BenchmarkOptions",
        "CalibrationOptions",
        "ClassifyOptions",
        "ClassifierValOptions",
        "ExportOptions",
        "GraphNmsOptions",
        "NmsOptions",
        "QatOptions",
        "QuantizeOptions",
        "SegmentOptions",
        "TrainOptions",
        "ValOptions",
    }


@pytest.mark.parametrize("name", tfyolo._RENAMED)
def test_a_deprecated_name_works_and_warns(name):
    replacement, origin = tfyolo._RENAMED[name]
    with pytest.warns(DeprecationWarning, match=f"`tfyolo.{name}` is deprecated.*use ") as caught:
        value = getattr(tfyolo, name)
    assert replacement in str(caught[0].message)
    assert Path(caught[0].filename).name == "test_public_names.py"
    assert getattr(value, "__name__", "") in (name, origin, origin.partition(":")[2])


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module `tfyolo` has no attribute `detect`"):
        _ = tfyolo.detect


@pytest.mark.parametrize("old", ["iou"])
@pytest.mark.parametrize("method", ["evaluate", "export"])
def test_a_deprecated_argument_works_and_warns(method, old):
    function = getattr(tfyolo.Detector, method)
    warns = pytest.warns(DeprecationWarning, match=f"argument `{old}` is deprecated")
    with warns, contextlib.suppress(TypeError):  # `self` is missing
        function(**{old: 0.5})


def test_importing_tfyolo_imports_no_heavy_library():
    code = "import sys, tfyolo; print({'tensorflow', 'keras', 'numpy', 'cv2'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_public_function_documents_arguments_result_and_use(name):
    function = getattr(tfyolo, name)
    assert missing_sections(function, inspect.getdoc(function) or "") == []


@pytest.mark.parametrize(("name", "method"), METHODS)
def test_a_public_method_documents_arguments_result_and_use(name, method):
    function = getattr(getattr(tfyolo, name), method)
    missing = missing_sections(function, inspect.getdoc(function) or "")
    assert [section for section in missing if method != "predict" or section != "Example"] == []


@pytest.mark.parametrize("name", CLASSES)
def test_a_public_class_documents_its_fields_and_use(name):
    kind = getattr(tfyolo, name)
    text = inspect.getdoc(kind) or ""
    assert "Args:" in text or "Attributes:" in text
    assert ">>>" in text


def missing_sections(function, text):
    """Sections that a docstring lacks, and parameters that it does not describe."""
    names = parameters(function)
    missing = [name for name in names if f"    {name}: " not in text and f"    **{name}: " not in text]
    if returns(function) and not ("Returns:" in text or "Yields:" in text):
        missing.append("Returns")
    if ">>>" not in text:
        missing.append("Example")
    return missing
