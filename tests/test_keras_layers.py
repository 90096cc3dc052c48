"""Keras reads our files once tfyolo is imported, which imports neither Keras nor TensorFlow."""

import subprocess
import sys

import pytest

CHECK = """
import sys
{imports}
before = {{"keras", "tensorflow", "numpy"}} & set(sys.modules)
import keras
print(sorted(before), keras.saving.load_model({path!r}).count_params(), *map(type, sys.meta_path[:1]))
"""


@pytest.mark.parametrize("order", ["tfyolo first", "keras first"])
def test_keras_reads_a_file_in_either_order_of_imports(order, tiny, tiny_keras, monkeypatch):
    if order == "keras first":  # in a process that has it already: imported here
        import keras

        from tfyolo.keras_layers import register_with_keras

        monkeypatch.delitem(keras.saving.get_custom_objects(), "tfyolo>NearestUpsample")
        monkeypatch.delitem(sys.modules, "tfyolo.models.layers")
        register_with_keras()
        assert keras.saving.load_model(tiny_keras).count_params() == tiny.model.count_params()
        return
    code = CHECK.format(imports="import tfyolo", path=str(tiny_keras))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600)
    assert done.stdout.startswith(f"[] {tiny.model.count_params()} "), done.stderr[-2000:]
    assert "tfyolo" not in done.stdout


def test_another_backend_gets_no_layers_of_tensorflow(tmp_path):
    (tmp_path / "keras").mkdir()
    (tmp_path / "keras/__init__.py").write_text("from keras import config\n")
    (tmp_path / "keras/config.py").write_text("def backend():\n    return 'jax'\n")
    code = "import sys, tfyolo, keras; print('tensorflow' in sys.modules, 'tfyolo.models' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {code}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == "False False\n"
