"""Fuzzes SavedModels: the graph, the signature, the saver, and initializers."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from tests.fuzz import raw_bytes
from tests.fuzz.models import exported
from tests.fuzz.tensorflow_nodes import mutate_graph


def bases(folder: Path) -> list[Path]:
    """Export small detectors with each kind of NMS, and a classifier, and return their paths."""
    return exported(
        "saved_model", ("combined", "postprocess", "builtin", "none int8", "classifier", "segmenter"), folder
    )


def mutate(content: bytes, rng: random.Random) -> bytes:
    """Mutate the protocol buffer in three of four cases, otherwise the bytes."""
    if rng.random() < 0.25:
        return raw_bytes.mutate(content, rng)
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel.FromString(content)
    (meta,) = saved.meta_graphs
    if rng.random() < 0.85:
        mutate_graph(meta.graph_def, rng)
    if rng.random() < 0.25:
        rng.choice((_signature, _saver, _initializer, _objects))(meta, rng)
    return saved.SerializeToString(deterministic=True)


def _signature(meta: Any, rng: random.Random) -> None:
    """Change the tensor of an input or output in the signature."""
    signature = meta.signature_def["serving_default"]
    tensors = rng.choice((signature.inputs, signature.outputs))
    if not tensors:
        return
    info = tensors[rng.choice(sorted(tensors))]
    node = rng.choice(meta.graph_def.node).name if meta.graph_def.node else "x"
    info.name = rng.choice((f"{node}:0", f"{node}:7", f"^{node}", "", "nowhere:0", f"{node}:x"))


def _saver(meta: Any, rng: random.Random) -> None:
    node = rng.choice(meta.graph_def.node).name if meta.graph_def.node else "x"
    field = rng.choice(("filename_tensor_name", "save_tensor_name", "restore_op_name"))
    setattr(meta.saver_def, field, rng.choice((node, f"{node}:0", "", "nowhere")))


def _initializer(meta: Any, rng: random.Random) -> None:
    """Make a node an initializer, which TensorFlow's loader runs."""
    node = rng.choice(meta.graph_def.node).name if meta.graph_def.node else "x"
    key = rng.choice(("__saved_model_init_op", "__saved_model_train_op"))
    meta.signature_def[key].outputs[key].name = f"{node}:0"
    meta.collection_def["saved_model_main_op"].node_list.value.append(f"{node}:0")
    meta.asset_file_def.add(filename="../../canary.txt").tensor_info.name = f"{node}:0"


def _objects(meta: Any, rng: random.Random) -> None:
    """Change functions of the object graph, which run when objects are created."""
    nodes = meta.object_graph_def.nodes
    functions = [function.signature.name for function in meta.graph_def.library.function] or ["x"]
    if not nodes:
        return
    node = rng.choice(nodes)
    children = node.children
    kind = rng.randrange(3)
    if kind == 0:
        made = nodes.add()
        made.bare_concrete_function.concrete_function_name = rng.choice(functions)
        children.add(node_id=len(nodes) - 1, local_name=rng.choice(("_initialize", "_create_resource")))
    elif kind == 1 and children:
        rng.choice(children).node_id = rng.choice((-1, 0, len(nodes), 2**31 - 1))
    else:
        made = nodes.add()
        made.asset.asset_file_def_index = rng.choice((0, 1, -1))
