"""Fuzzes frozen GraphDefs."""

from __future__ import annotations

import random
from pathlib import Path

from tests.fuzz import raw_bytes
from tests.fuzz.models import exported
from tests.fuzz.tensorflow_nodes import mutate_graph


def bases(folder: Path) -> list[Path]:
    """Export small detectors with each kind of NMS, and a classifier, and return their paths."""
    return exported(
        "pb", ("combined", "builtin", "tensor float16", "none int8", "classifier", "segmenter"), folder
    )


def mutate(content: bytes, rng: random.Random) -> bytes:
    """Mutate the graph in three of four cases, otherwise the bytes."""
    if rng.random() < 0.25:
        return raw_bytes.mutate(content, rng)
    from tensorflow.core.framework import graph_pb2

    graph = graph_pb2.GraphDef.FromString(content)
    mutate_graph(graph, rng)
    return graph.SerializeToString(deterministic=True)
