"""SavedModels and GraphDefs with operations that are not pure are refused, without side effects."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework import op_def_registry

from tfyolo.errors import TfyoloError
from tfyolo.export.runtime import budget
from tfyolo.export.tensorflow_graph.importer import Importer
from tfyolo.export.tensorflow_graph.operations import ALLOWED
from tfyolo.inference.load import load_predictor
from tfyolo.models import Contract, load_spec

SPEC = load_spec(Path(__file__).parents[2] / "tiny.yaml")
CONTRACT = Contract.of(SPEC, ("ant", "bee", "cat", "dog"), (64, 64))
IMAGE = np.zeros((64, 64, 3), np.uint8)


def outputs(images: tf.Tensor) -> dict[str, tf.Tensor]:
    """Return ten boxes with score 0."""
    x = tf.reduce_mean(images) * 0
    return {"boxes": tf.zeros([1, 10, 4]) + x, "scores": tf.zeros([1, 10, 4]) + x}


def after(*operations):
    """Return a function of images with operations as control inputs."""

    def effect(images):
        with tf.control_dependencies([make(images) for make in operations]):
            return tf.identity(images)

    return effect


def save_v2(images):
    return tf.raw_ops.SaveV2(prefix="saved", tensor_names=["a"], shape_and_slices=[""], tensors=[images])


def restore_v2(images):
    return tf.raw_ops.RestoreV2(
        prefix="ckpt", tensor_names=["a"], shape_and_slices=[""], dtypes=[tf.float32]
    )[0]


def merge(images):
    return tf.raw_ops.MergeV2Checkpoints(
        checkpoint_prefixes=["folder/ckpt"], destination_prefix="merged", delete_old_dirs=True
    )


def write_file(images):
    return tf.raw_ops.WriteFile(filename="written", contents="x")


def debug(images):
    return tf.raw_ops.DebugIdentity(input=images, tensor_name="x:0", debug_urls=["file://debugged"])


def debug_nan(images):
    return tf.raw_ops.DebugNanCount(input=images, tensor_name="x:0", debug_urls=["grpc://127.0.0.1:1"])


def remap(images):
    return tf.raw_ops.GenerateVocabRemapping(
        new_vocab_file="a", old_vocab_file="b", new_vocab_offset=0, num_new_vocab=1
    )[0]


def decode_proto(images):
    return tf.raw_ops.DecodeProtoV2(
        bytes=[b""], message_type="x", field_names=[], output_types=[], descriptor_source="canary.txt"
    )[0]


def forever(images):
    return tf.while_loop(lambda i, x: i >= 0, lambda i, x: (tf.abs(i), x), [tf.constant(0), images])[1]


def branches(images):
    return tf.cond(tf.reduce_sum(images) > 0, lambda: images, lambda: after(write_file)(images))


def called(images):
    return tf.function(after(save_v2), autograph=False)(images)


def python(images):
    return tf.ensure_shape(tf.py_function(lambda x: x, [images], tf.float32), (1, 64, 64, 3))


def fill(images):
    return images + tf.reduce_mean(tf.zeros([30_000_000_000]))


def fill_computed(images):
    size = tf.cast(tf.reduce_sum(images), tf.int64) + 30_000_000_000
    return images + tf.reduce_mean(tf.zeros(tf.reshape(size, [1])))


def multiply_large(images):
    large = tf.zeros([8000, 8000]) + tf.reduce_sum(images)
    for _ in range(8):
        large = tf.matmul(large, large)
    return images + tf.reduce_mean(large)


def add_many(images):
    large = tf.zeros([1000, 1000]) + tf.reduce_sum(images)
    return images + tf.reduce_mean(tf.raw_ops.AddN(inputs=[large] * 5000))


def reduce_many(images):
    large = tf.zeros([1000, 1000]) + tf.reduce_sum(images)
    return images + tf.raw_ops.AddN(inputs=[tf.reduce_max(large) for _ in range(5000)])


MALICIOUS = {
    "SaveV2": after(save_v2),
    "RestoreV2": after(restore_v2),
    "MergeV2Checkpoints": after(merge),
    "WriteFile": after(write_file),
    "DebugIdentity": debug,
    "DebugNanCount": after(debug_nan),
    "GenerateVocabRemapping": after(remap),
    "DecodeProtoV2": after(decode_proto),
    "While": forever,
    "If": branches,
    "SaveV2' in a function": called,
    "EagerPyFunc": python,
    "PrintV2": after(lambda images: tf.print("x")),
    "120,000,000,000 bytes": fill,
    "no fixed shape": fill_computed,
    "multiplications": multiply_large,
    "multiplications' of a sum of many inputs": add_many,
    "multiplications' of many reductions": reduce_many,
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working directory, with files that malicious models try to access."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "canary.txt").write_text("x")
    (tmp_path / "folder").mkdir()
    tf.raw_ops.SaveV2(prefix="ckpt", tensor_names=["a"], shape_and_slices=[""], tensors=[tf.zeros([3])])
    tf.raw_ops.SaveV2(
        prefix="folder/ckpt", tensor_names=["a"], shape_and_slices=[""], tensors=[tf.zeros([3])]
    )
    return tmp_path


def tree(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*")}


def saved_model(path: Path, effect, module: tf.Module | None = None) -> Path:
    """Write a SavedModel whose images pass through `effect`."""
    module = module or tf.Module()
    spec = tf.TensorSpec((1, 64, 64, 3), tf.float32, name="images")
    module.detect = tf.function(lambda images: outputs(effect(images)), [spec], autograph=False)
    tf.saved_model.save(module, str(path), signatures={"serving_default": module.detect})
    (path / "tfyolo.json").write_text(CONTRACT.to_json())
    return path


def graph_def(path: Path, effect) -> Path:
    """Write a frozen GraphDef whose images pass through `effect`."""
    graph = tf.Graph()
    with graph.as_default():
        images = tf.compat.v1.placeholder(tf.float32, (1, 64, 64, 3), name="images")
        for name, tensor in outputs(effect(images)).items():
            tf.identity(tensor, name=name)
        tf.constant(CONTRACT.to_json(), name="tfyolo_json")
    path.write_bytes(graph.as_graph_def().SerializeToString())
    return path


@pytest.mark.parametrize("what", MALICIOUS)
@pytest.mark.parametrize("write", [saved_model, graph_def])
def test_malicious_graph_is_refused(folder, write, what):
    path = write(folder / ("x.pb" if write is graph_def else "x_saved_model"), MALICIOUS[what])
    before = tree(folder)
    with pytest.raises(TfyoloError) as caught:
        load_predictor(path)(IMAGE)
    assert what.partition("'")[0].partition(",")[0] in caught.value.message or what[0].isdigit()
    assert "is not run" in caught.value.message
    assert tree(folder) == before


def test_initializer_that_writes_is_refused(folder):
    from tensorflow.core.protobuf import saved_model_pb2

    path = saved_model(folder / "x_saved_model", tf.identity)
    file = path / "saved_model.pb"
    saved = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    meta = saved.meta_graphs[0]
    nodes = meta.graph_def.node
    for name in ("name", "text"):
        node = nodes.add(name=name, op="Const")
        node.attr["dtype"].type = node.attr["value"].tensor.dtype = tf.string.as_datatype_enum
        node.attr["value"].tensor.string_val.append(b"written")
    nodes.add(name="write", op="WriteFile", input=["name", "text"])
    meta.signature_def["__saved_model_init_op"].outputs["__saved_model_init_op"].name = "write"
    file.write_bytes(saved.SerializeToString())
    before = tree(folder)
    with pytest.raises(TfyoloError, match="'WriteFile'"):
        load_predictor(path)
    assert tree(folder) == before


def test_a_function_that_no_node_refers_to_is_checked(folder):
    """The object graph may name it, and other loaders run it."""
    from tensorflow.core.protobuf import saved_model_pb2

    path = saved_model(folder / "x_saved_model", tf.identity)
    file = path / "saved_model.pb"
    saved = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    load_predictor(path)
    function = saved.meta_graphs[0].graph_def.library.function.add()
    function.signature.name = "hidden"
    function.node_def.add(name="write", op="WriteFile")
    file.write_bytes(saved.SerializeToString())
    with pytest.raises(TfyoloError, match="'WriteFile'"):
        load_predictor(path)


def test_a_function_is_checked_once(folder, monkeypatch):
    """A small file may call a large function ten thousand times."""
    checked = []
    check = Importer._check_operation
    monkeypatch.setattr(
        Importer, "_check_operation", lambda self, node: checked.append(1) or check(self, node)
    )
    negate = tf.function(lambda x: -x)

    def effect(images):
        for _ in range(30):
            images = negate(images)
        return images

    path = graph_def(folder / "x.pb", effect)
    load_predictor(path)
    assert 0 < len(checked) < 200


def test_functions_that_call_each_other_exponentially_are_refused(folder, monkeypatch):
    monkeypatch.setattr(budget, "MAX_OPERATIONS", 1000)
    path = graph_def(folder / "x.pb", lambda images: images)
    graph = tf.compat.v1.GraphDef.FromString(path.read_bytes())
    kind = tf.float32.as_datatype_enum
    for level in range(40):  # each calls the previous one twice: 2 ** 40 operations
        function = graph.library.function.add()
        function.signature.name = f"f{level}"
        function.signature.input_arg.add(name="x", type=kind)
        function.signature.output_arg.add(name="y", type=kind)
        source = "x"
        for step in range(2):
            node = function.node_def.add(
                name=f"n{step}", op="PartitionedCall" if level else "Neg", input=[source]
            )
            if level:
                node.attr["f"].func.name = f"f{level - 1}"
                node.attr["Tin"].list.type.append(kind)
                node.attr["Tout"].list.type.append(kind)
            else:
                node.op, node.attr["T"].type = "Neg", kind
            source = f"n{step}:{'output' if level else 'y'}:0"
        function.ret["y"] = source
    (boxes,) = (node for node in graph.node if node.name == "boxes")
    call = graph.node.add(name="call", op="PartitionedCall", input=list(boxes.input))
    call.attr["f"].func.name = "f39"
    call.attr["Tin"].list.type.append(kind)
    call.attr["Tout"].list.type.append(kind)
    boxes.input[0] = "call"
    path.write_bytes(graph.SerializeToString())
    with pytest.raises(TfyoloError, match="more than 1,000 operations"):
        load_predictor(path)
    call.attr["f"].func.name = graph.library.function[39].signature.name = "f0"
    path.write_bytes(graph.SerializeToString())
    with pytest.raises(TfyoloError, match="calls itself"):
        load_predictor(path)


def test_constant_of_one_repeated_value_is_bounded(folder):
    path = graph_def(folder / "x.pb", lambda images: images + tf.reduce_sum(tf.constant(1.0, shape=[9])))
    graph = tf.compat.v1.GraphDef.FromString(path.read_bytes())
    constants = [x for x in graph.node if x.op == "Const"]
    (node,) = (x for x in constants if [d.size for d in x.attr["value"].tensor.tensor_shape.dim] == [9])
    tensor = node.attr["value"].tensor
    tensor.tensor_shape.dim[0].size, tensor.tensor_content = 2**40, b""
    tensor.float_val[:] = [1.0]
    path.write_bytes(graph.SerializeToString())
    with pytest.raises(TfyoloError, match="creates a tensor of 4,398,046,511,104 bytes"):
        load_predictor(path)


@pytest.mark.parametrize("name", ["bool", "int64", "float16"])
def test_constant_whose_value_has_another_dtype_is_refused(folder, name):
    """TensorFlow aborts the process when a kernel reads it."""
    path = graph_def(folder / "x.pb", lambda images: images + tf.constant([0.5, 0.25, 0.125]))
    graph = tf.compat.v1.GraphDef.FromString(path.read_bytes())
    (node,) = (
        x
        for x in graph.node
        if [d.size for d in x.attr["value"].tensor.tensor_shape.dim] == [3]
        and x.attr["dtype"].type == tf.float32.as_datatype_enum
    )
    node.attr["value"].tensor.dtype = tf.as_dtype(name).as_datatype_enum
    path.write_bytes(graph.SerializeToString())
    with pytest.raises(TfyoloError, match="a constant whose value has another dtype"):
        load_predictor(path)


@pytest.mark.parametrize("batch_dims", [255, -3])
def test_batch_dimensions_that_abort_tensorflow_are_refused(folder, batch_dims):
    path = graph_def(folder / "x.pb", lambda images: tf.gather(images, [[0]], axis=1, batch_dims=1))
    graph = tf.compat.v1.GraphDef.FromString(path.read_bytes())
    load_predictor(path)
    (gather,) = (node for node in graph.node if node.op == "GatherV2")
    gather.attr["batch_dims"].i = batch_dims
    path.write_bytes(graph.SerializeToString())
    with pytest.raises(TfyoloError, match="impossible batch dimensions"):
        load_predictor(path)


def test_an_operation_without_its_input_is_named_in_words(folder):
    path = graph_def(folder / "x.pb", lambda images: images)
    graph = tf.compat.v1.GraphDef.FromString(path.read_bytes())
    (node,) = (node for node in graph.node if node.op == "Mean")
    del node.input[1:]
    path.write_bytes(graph.SerializeToString())
    with pytest.raises(TfyoloError, match="an operation lacks an input or an attribute"):
        load_predictor(path)


def test_work_of_constant_shapes_is_counted_per_reader(folder, monkeypatch):
    def effect(images):
        size = tf.reshape(tf.reduce_sum(tf.range(1_000_000)) * 0 + 64, [1])
        for _ in range(40):
            images = tf.reshape(images, tf.concat([[1], size, [64, 3]], 0))
        return images

    path = graph_def(folder / "x.pb", effect)
    assert len(load_predictor(path)(IMAGE)[0]) == 0
    monkeypatch.setattr(budget, "PRODUCTS", 30_000_000)
    monkeypatch.setattr(budget, "PRODUCTS_PER_PIXEL", 0)
    with pytest.raises(TfyoloError, match="multiplications"):
        load_predictor(path)


def test_variables_are_read_from_the_folder_only(folder):
    module = tf.Module()
    module.weight = tf.Variable([[1.0, 2.0]], name="weight")
    module.other = tf.Variable([3.0], name="weight")

    def effect(images):
        return images + tf.reduce_sum(module.weight) + module.other

    path = saved_model(folder / "x_saved_model", effect, module)
    expected = tf.saved_model.load(str(path)).signatures["serving_default"](tf.zeros((1, 64, 64, 3)))
    assert len(load_predictor(path)(IMAGE)[0]) == 0
    (path / "variables/variables").mkdir()  # which TensorFlow takes for a folder of checkpoints
    (path / "variables/variables/checkpoint").write_text(f'model_checkpoint_path: "{folder}/ckpt"')
    assert len(load_predictor(path)(IMAGE)[0]) == 0
    data = next((path / "variables").glob("*.data-*"))
    copy = folder / "elsewhere"
    data.rename(copy)
    data.symlink_to(copy)
    with pytest.raises(TfyoloError, match="variables, whose files are missing or links"):
        load_predictor(path)
    assert set(expected) == {"boxes", "scores"}


def test_variables_have_the_values_that_tensorflow_restores(folder):
    from tfyolo.export.tensorflow_graph.vetting import import_saved_model

    module = tf.Module()
    module.a, module.b = tf.Variable(2.0, name="v"), tf.Variable(5.0, name="v")
    spec = tf.TensorSpec((1, 64, 64, 3), tf.float32, name="images")
    module.run = tf.function(lambda images: {"y": module.a * 10.0 + module.b + tf.reduce_sum(images)}, [spec])
    path = folder / "x_saved_model"
    tf.saved_model.save(module, str(path), signatures={"serving_default": module.run})
    module.a.assign(9.0)
    function, uint8 = import_saved_model(path, CONTRACT)
    assert not uint8
    assert float(function(images=tf.zeros((1, 64, 64, 3)))["y"]) == 25.0


def test_allowed_operations_are_pure():
    for name in ALLOWED:
        definition = op_def_registry.get(name)
        assert definition is not None, name
        assert not definition.is_stateful, name
        kinds = {argument.type for argument in (*definition.input_arg, *definition.output_arg)}
        assert not kinds & {
            tf.string.as_datatype_enum,
            tf.resource.as_datatype_enum,
            tf.variant.as_datatype_enum,
        }
        assert not {attribute.type for attribute in definition.attr} & {"func", "list(func)"}, name
