"""Every configuration by name: cost, strides and anchors of the published ones, and a round trip."""

from __future__ import annotations

import json
from functools import cache

import pytest

from tests.shared import SHARED, needs_shared
from tfyolo.models import Contract, count_model, list_models, load_spec

FAMILY = ("n", "s", "m", "l", "x")
CLASSIFIERS = {"n": 2.49, "s": 5.45, "m": 12.96, "l": 26.55, "x": 48.10}
"""Millions of parameters with 1,000 classes: YOLOv5 publishes 2.5, 5.4, 12.9, 26.5 and 48.1."""
EXPECTED = [
    *(f"yolov5{size}" for size in FAMILY),
    *(f"yolov5{size}6" for size in FAMILY),
    *(f"yolov5{size}-seg" for size in FAMILY),
    *(f"yolov5-{variant}" for variant in ("p2", "p34", "p6", "p7", "fpn", "panet", "bifpn")),
    *("yolov5s-ghost", "yolov5s-transformer", "yolov5s-LeakyReLU", "yolov3", "yolov3-spp", "yolov3-tiny"),
    *(f"yolov5{size}-v{release}" for release in ("1.0", "2.0", "5.0") for size in FAMILY[1:]),
]


@cache
def reference(name: str) -> dict:
    """The published configuration of that name: in its own release's table, others in v7.0's."""
    stem, _, release = name.partition("-v")
    tables = json.loads((SHARED / "reference" / f"params_v{release or '7.0'}.json").read_text())
    found = [table for path, table in tables.items() if path.endswith(f"/{stem}.yaml")]
    assert len(found) == 1
    return found[0]


def test_every_published_configuration_is_listed():
    assert sorted(list_models()) == sorted([*EXPECTED, *(f"yolov5{size}-cls" for size in CLASSIFIERS)])


@pytest.mark.parametrize(("size", "millions"), CLASSIFIERS.items())
def test_classifiers(size, millions):
    spec = load_spec(f"yolov5{size}-cls")
    ops, shapes = count_model(spec, (224, 224))
    parameters = sum(cost.parameters for cost in ops.costs.values())
    assert parameters == pytest.approx(1e6 * millions, abs=6e3)
    assert (spec.task, spec.strides, spec.anchors_px) == ("classify", (32,), ())
    assert shapes[-1] == [(1, 1, 1000)]
    assert Contract.from_json(Contract.of(spec).to_json()).spec == spec


@needs_shared
@pytest.mark.parametrize("name", EXPECTED)
def test_parameters(name):
    ops, _ = count_model(load_spec(name))
    assert sum(cost.parameters for cost in ops.costs.values()) == reference(name)["parameters"]


@needs_shared
@pytest.mark.parametrize("name", EXPECTED)
def test_gflops(name):
    ops, _ = count_model(load_spec(name))
    assert sum(cost.gflops for cost in ops.costs.values()) == pytest.approx(
        reference(name)["gflops_640"], rel=1e-3
    )


@needs_shared
@pytest.mark.parametrize("name", EXPECTED)
def test_strides(name):
    assert list(load_spec(name).strides) == reference(name)["strides"]


@needs_shared
@pytest.mark.parametrize("name", EXPECTED)
def test_anchors(name):
    spec, anchors = load_spec(name), reference(name)["anchors"]
    assert spec.anchors == anchors if isinstance(anchors, int) else spec.anchors == tuple(map(tuple, anchors))


@pytest.mark.parametrize("name", EXPECTED)
def test_heads_have_one_cell_for_each_stride(name):
    spec = load_spec(name, num_classes=7)
    side = 2 * max(spec.strides)
    heads = count_model(spec, (side, 2 * side))[1][-1]
    channels = spec.anchors_per_scale * (12 + spec.num_coefficients)
    prototypes = [(side // 4, 2 * side // 4, 32)] if spec.task == "segment" else []
    assert heads == [(side // s, 2 * side // s, channels) for s in spec.strides] + prototypes


@pytest.mark.parametrize("name", EXPECTED)
def test_configuration_survives_a_model_file(name):
    spec = load_spec(name, num_classes=3, image_size=416)
    assert Contract.from_json(Contract.of(spec).to_json()).spec == spec


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPECTED)
def test_keras_builds_what_was_counted(name):
    """Whole networks in Keras, hundreds of megabytes each, one after another."""
    import keras
    import numpy as np

    from tfyolo.models import build_model

    keras.backend.clear_session()
    spec = load_spec(name)
    model = build_model(spec)
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    assert trainable == sum(cost.parameters for cost in count_model(spec)[0].costs.values())
    channels = spec.anchors_per_scale * sum(spec.parts.values())
    heads = [(None, None, None, channels)] * len(spec.strides)
    heads += [(None, None, None, 32)] * (spec.task == "segment")
    assert [tuple(head.shape) for head in model.outputs] == heads
