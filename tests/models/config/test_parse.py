"""Model YAML, ours and YOLOv5's: what it resolves to, and file and line of every mistake."""

from __future__ import annotations

import random
import re

import pytest

from tfyolo.configs.reader import Document
from tfyolo.errors import TfyoloError
from tfyolo.models import load_spec, parse_spec
from tfyolo.models.registry import FOLDER

# Line 1 is `classes`, line 5 the first layer.
SMALL = """classes: 3
anchors:
  - [10, 13, 16, 30]
backbone:
  - [-1, 1, Conv, [16, 3, 2]]
  - [-1, 2, C3, [16]]
  - [-1, 1, Conv, [32, 3, 2]]
neck:
  - [-1, 1, Upsample, []]
  - [[-1, 1], 1, Concat, []]
head:
  - [[4], 1, Detect, []]
"""


@pytest.fixture
def read(tmp_path):
    def parse(text: str, **overrides):
        path = tmp_path / "model.yaml"
        path.write_text(text)
        return load_spec(path, **overrides)

    return parse


@pytest.fixture
def refused(read):
    def fails(text: str, **overrides) -> TfyoloError:
        with pytest.raises(TfyoloError) as caught:
            read(text, **overrides)
        return caught.value

    return fails


def changed(old: str, new: str) -> str:
    assert SMALL.count(old) == 1
    return SMALL.replace(old, new)


def layer(text: str) -> str:
    """SMALL with another first layer, which is line 5."""
    return changed("[-1, 1, Conv, [16, 3, 2]]", text)


def test_layers_are_resolved(read):
    spec = read(SMALL, width=0.5, depth=2)
    assert [(x.sources, x.repeats, x.block, x.stride, x.section) for x in spec.layers] == [
        ((-1,), 1, "Conv", 2, "backbone"),
        ((0,), 4, "C3", 2, "backbone"),
        ((1,), 1, "Conv", 4, "backbone"),
        ((2,), 1, "Upsample", 2, "neck"),
        ((3, 1), 1, "Concat", 2, "neck"),
        ((4,), 1, "Detect", 2, "head"),
    ]


def test_arguments_are_named_and_filters_scaled(read):
    assert read(SMALL, width=0.3).layers[2].arguments == {"filters": 16, "kernel": 3, "stride": 2}


def test_empty_settings_leave_the_defaults(read):
    assert read("activation:\n" + SMALL).activation == "silu"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (changed("[-1, 2, C3, [16]]", "[-1, 2, C4, [16]]"), 6, "unknown block `C4`; known are Conv, "),
        (layer("[-1, 1, 5, [16]]"), 5, "unknown block `5`"),
        (layer("[-1, 1, [Conv], [16]]"), 5, "unknown block"),
        (layer("[0, 1, Conv, [16]]"), 5, "`from` 0 is not one of -1, the image"),
        (layer("[-2, 1, Conv, [16]]"), 5, "`from` -2"),
        (changed("[-1, 2, C3, [16]]", "[7, 2, C3, [16]]"), 6, "`from` 7 is not one of the layers before it"),
        (changed("[-1, 2, C3, [16]]", "[-2, 2, C3, [16]]"), 6, "`from` -2 is not one of"),
        (layer("['-1', 1, Conv, [16]]"), 5, "`from` must be an index"),
        (layer("[[], 1, Conv, [16]]"), 5, "`from` must be an index"),
        (layer("[true, 1, Conv, [16]]"), 5, "`from` must be an index"),
        (changed("[-1, 2, C3, [16]]", "[[-1, -1], 2, C3, [16]]"), 6, "reads one layer"),
        (layer("[-1, 0, Conv, [16]]"), 5, "repeats must be a whole number"),
        (layer("[-1, 1.5, Conv, [16]]"), 5, "repeats must be a whole number"),
        (layer("[-1, 1000000, Conv, [16]]"), 5, "repeats must be a whole number"),
        (layer("[-1, 1, Conv, 16]"), 5, "arguments must be a list"),
        (layer("[-1, 1, Conv]"), 5, "a layer must be"),
        (layer("Conv"), 5, "a layer must be"),
        (layer("[-1, 1, Conv, []]"), 5, "argument `filters` is missing"),
        (layer("[-1, 1, Conv, [16, 3, 2, 1, 1, true, 1]]"), 5, "7 arguments, but the block takes filters, "),
        (layer("[-1, 900, Conv, [8, 3, 8]]"), 5, "its stride exceeds 4096 pixels"),
        ("depth: 99.9\n" + layer("[-1, 900, Conv, [8]]"), 6, "89910 repeats"),
        (layer("[-1, 1, Conv, [16, three]]"), 5, "argument `kernel`: 'three'"),
        (layer("[-1, 1, Conv, [16, 3, 0]]"), 5, "argument `stride`: 0"),
        (layer("[-1, 1, Conv, [16.5]]"), 5, "argument `filters`: 16.5"),
        (layer("[-1, 1, Conv, [true]]"), 5, "argument `filters`: True"),
        (layer("[-1, 1, Conv, [1000000000]]"), 5, "argument `filters`: 1000000000"),
        (layer("[-1, 1, Conv, [16, 3, 2, 1, 7]]"), 5, "do not divide into 7 groups"),
        (layer("[-1, 1, Conv, [16, 3, 2, 1, 1, gelu]]"), 5, "unknown activation `gelu`"),
        (layer("[-1, 1, Conv, ['nc ** 9']]"), 5, "not a number of filters"),
        (layer("[-1, 1, Conv, ['().__class__']]"), 5, "not a number of filters"),
        (layer("[-1, 1, Conv, ['" + "9*" * 60 + "9']]"), 5, "not a number of filters"),
        (layer("[-1, 1, GhostBottleneck, [16, 3, 3]]"), 5, "argument `stride`: 3"),
        (layer("[-1, 1, Focus, [16, 3, 1, 1, 2]]"), 5, "argument `groups`: 2"),
        (layer("[-1, 1, MaxPool2d, [3, 2, 1]]"), 5, "padding must be 0"),
        (layer("[-1, 1, ZeroPad2d, [[1, 1]]]"), 5, "argument `padding`"),
        (layer("[-1, 1, SPP, [16, [4]]]"), 5, "Concat needs inputs of one size"),
        (layer("[-1, 1, C3, [16, true, 1, 0.01]]"), 5, "do not divide"),
        (layer("[-1, 1, C3TR, [8, true, 1, 0.25]]"), 5, "4 attention heads"),
        (changed("[-1, 1, Upsample, []]", "[-1, 1, Upsample, [None, 2, bilinear]]"), 9, "argument `mode`"),
        (changed("[[-1, 1], 1, Concat, []]", "[[-1, 1], 1, Concat, [2]]"), 10, "argument `dimension`"),
        (
            changed("[[-1, 1], 1, Concat, []]", "[[-1, 2], 1, Concat, []]"),
            10,
            "joins layers of different strides: 2, 4",
        ),
        (changed("[[-1, 1], 1, Concat, []]", "[[-1, 1], 64, Concat, []]"), 10, "cannot be repeated"),
        (changed("[[4], 1, Detect, []]", "[[4, 9], 1, Detect, []]"), 12, "`from` 9"),
        (changed("[[4], 1, Detect, []]", "[[], 1, Detect, []]"), 12, "`from` must be"),
        (changed("[[4], 1, Detect, []]", "[[4], 1, Detect, [3]]"), 12, "Detect takes no arguments"),
        (changed("[[4], 1, Detect, []]", "[[4], 1, Conv, [8]]"), 11, "the last layer must be Detect"),
        (SMALL + "  - [[4], 1, Detect, []]\n", 13, "follows Detect"),
        (SMALL + "  - [-1, 1, Conv, [8]]\n", 13, "follows Detect"),
        (changed("classes: 3", "clases: 3"), 1, "unknown key `clases`"),
        (changed("classes: 3", "classes: a"), 1, "`classes`: input should be a valid integer, not 'a'"),
        (changed("classes: 3", "nc: 0"), 1, "`classes`: input should be greater than or equal to 1"),
        (changed("classes: 3", "classes: 1000000000"), 1, "less than or equal to 30000"),
        (changed("classes: 3", "image_size: [640, 640]"), 1, "`image_size`: input should be a valid integer"),
        (changed("classes: 3", "image_size: -32"), 1, "`image_size`: input should be greater"),
        (changed("classes: 3", "ch: 4"), 1, "`ch`: input should be 3, not 4"),
        (changed("classes: 3", "width_multiple: 0"), 1, "`width`: input should be greater than 0"),
        (changed("classes: 3", "width: 1000"), 1, "`width`: input should be less than 100"),
        (changed("classes: 3", "depth: .nan"), 1, "`depth`: input should be a finite number"),
        (changed("classes: 3", "depth: true"), 1, "`depth`: input should be a valid number"),
        (changed("classes: 3", "activation: __import__('os').system('x')"), 1, "unknown activation"),
        (changed("classes: 3", "activation: nn.LeakyReLU(0.2)"), 1, "only LeakyReLU(0.1)"),
        (changed("classes: 3", "activation: nn.LeakyReLU()"), 1, "only LeakyReLU(0.1)"),
        (changed("classes: 3", "activation: 5"), 1, "`activation`: input should be a valid string"),
        (changed("classes: 3", "backbone: 5").replace("backbone:\n", "name:\n"), 1, "`backbone` must be"),
        (changed("  - [10, 13, 16, 30]", "  - [10, 13, 16]"), 3, "width, height pairs"),
        (changed("  - [10, 13, 16, 30]", "  - [10, -13]"), 3, "sizes in pixels, not -13"),
        (changed("  - [10, 13, 16, 30]", "  - [10, '13']"), 3, "sizes in pixels, not '13'"),
        (changed("  - [10, 13, 16, 30]", "  - [10, .inf]"), 3, "sizes in pixels, not inf"),
        (changed("  - [10, 13, 16, 30]", "  - [1, 2]\n  - [3, 4, 5, 6]"), 4, "width, height pairs"),
        (changed("  - [10, 13, 16, 30]", "  - [1, 2]\n  - [3, 4]"), 2, "2 scales, but Detect reads 1"),
        (changed("  - [10, 13, 16, 30]", "  - 10"), 2, "`anchors` must be a list"),
        (changed("anchors:\n  - [10, 13, 16, 30]", "anchors: large"), 2, "`anchors` must be a list"),
        (changed("anchors:\n  - [10, 13, 16, 30]", "anchors: []"), 2, "`anchors` is empty"),
        (changed("anchors:\n  - [10, 13, 16, 30]", "anchors: 0"), 2, "not a valid number of anchors"),
        ("models: {}\n" + SMALL, 1, "`models` must map"),
        ("models: [a]\n" + SMALL, 1, "`models` must map"),
        ("models:\n" + SMALL, 1, "`models` must map"),
        ("models:\n  a: 5\n" + SMALL, 2, "model `a` must be a mapping"),
        ("models:\n  a:\n    depth: 1\n    width: 0\n" + SMALL, 4, "`width`: input should be greater than 0"),
        ("models:\n  a:\n    widht: 1\n" + SMALL, 3, "unknown key `widht`"),
    ],
)
def test_mistakes_are_named_with_their_line(refused, text, line, words):
    error = refused(text)
    assert (error.line, error.path.name) == (line, "model.yaml")
    assert words in error.message


def test_a_wrong_override_is_not_blamed_on_the_file(refused):
    error = refused(SMALL, classes="a")
    assert (error.path, error.message) == (None, "`classes`: input should be a valid integer, not 'a'")


def test_an_unknown_override(refused):
    assert "unknown setting `clases`" in refused(SMALL, clases=3).message


def test_a_network_of_absurd_depth_is_refused(refused):
    assert "at most 2000 blocks" in refused(layer("[-1, 1000, Conv, [16]]"), depth=50).message


def test_a_network_of_absurd_size_is_refused(refused):
    assert "parameters" in refused(layer("[-1, 3, Conv, [30000, 3, 2]]")).message


def test_predictions_of_another_number_of_classes(refused):
    text = changed("[[4], 1, Detect, []]", "[-1, 1, Conv2d, [27]]\n  - [[], 1, Detect, []]")
    assert "predicts 27 channels, but anchors * (5 + classes) is 16" in refused(text).message


def test_a_document_without_a_mapping():
    with pytest.raises(TfyoloError, match="must be a mapping"):
        parse_spec(Document(None, [1]))


@pytest.mark.parametrize(
    ("written", "ours"),
    [
        ("nn.SiLU()", "silu"),
        ("nn.SiLU(inplace=True)", "silu"),
        ("swish", "silu"),
        ("nn.LeakyReLU(0.1)", "leaky_relu"),
        ("nn.LeakyReLU(0.1, inplace=True)", "leaky_relu"),
        ("nn.LeakyReLU(negative_slope=0.1)", "leaky_relu"),
        ("nn.ReLU6()", "relu6"),
        ("ReLU", "relu"),
        ("nn.Hardswish()", "hard_swish"),
        ("nn.Identity()", "linear"),
    ],
)
def test_activations_as_yolov5_writes_them(read, written, ours):
    assert read(f"activation: {written}\n" + SMALL).activation == ours


OURS = """classes: 4
depth: 0.33
width: 0.5
activation: relu6
anchors:
  - [10, 13, 16, 30]
  - [30, 61, 62, 45]
backbone:
  - [-1, 1, Focus, [32, 3]]
  - [-1, 6, BottleneckCSP, [64]]
  - [-1, 1, Conv, [64, 3, 2]]
neck:
  - [-1, 1, Upsample, []]
  - [[-1, 1], 1, Concat, []]
  - [-1, 1, Conv2d, [18, 1]]
  - [2, 1, Conv2d, [18, 1]]
head:
  - [[6, 5], 1, Detect, []]
"""
# The same network in YOLOv5's layout, as its first release wrote it.
THEIRS = """nc: 4
depth_multiple: 0.33
width_multiple: 0.5
activation: nn.ReLU6()
anchors:
  - [[10, 13], [16, 30]]
  - [[30, 61], [62, 45]]
backbone:
  [[-1, 1, Focus, [32, 3]],
   [-1, 6, BottleneckCSP, [64]],
   [-1, 1, Conv, [64, 3, 2]],
  ]
head:
  [[-1, 1, nn.Upsample, [None, 2, 'nearest']],
   [[-1, 1], 1, Concat, [1]],
   [-1, 1, nn.Conv2d, [na * (nc + 5), 1]],
   [2, 1, nn.Conv2d, [na * (nc + 5), 1]],
   [[], 1, Detect, [nc, anchors]],
  ]
"""


@pytest.mark.parametrize(
    "field", ["num_classes", "anchors", "activation", "csp_activation", "strides", "bn_epsilon", "image_size"]
)
def test_yolov5s_layout_has_the_same_settings(read, field):
    assert getattr(read(THEIRS), field) == getattr(read(OURS), field)


def test_yolov5s_layout_has_the_same_layers(read):
    def seen(spec):
        defaults = {"dimension": 1, "size": None, "scale": 2, "mode": "nearest"}
        return [
            (x.section, x.sources, x.repeats, x.block, x.stride, x.arguments.items() - defaults.items())
            for x in spec.layers
        ]

    assert seen(read(THEIRS)) == seen(read(OURS))


@pytest.mark.parametrize(
    ("written", "sizes"),
    [
        ("[]", (32, 256)),
        ("[16]", (16, 256)),
        ("[16, 20]", (16, 24)),  # a multiple of 8
        ("[nc, anchors]", (32, 256)),
        ("[nc, anchors, 8, 64]", (8, 64)),
        ("[3, [[10, 13]], 8, 64]", (8, 64)),
    ],
)
def test_sizes_of_a_segmentation_head(read, written, sizes):
    spec = read(changed("[[4], 1, Detect, []]", f"[[4], 1, Segment, {written}]"))
    assert (spec.head.arguments["coefficients"], spec.head.arguments["prototypes"]) == sizes
    assert (spec.task, spec.num_coefficients) == ("segment", sizes[0])
    assert spec.parts == {"box": 4, "objectness": 1, "classes": 3, "coefficients": sizes[0]}


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("[[4], 1, Segment, [0]]", "`coefficients`: 0"),
        ("[[4], 1, Segment, [32, 2000]]", "`prototypes`: 2000"),
        ("[[4], 1, Segment, [nc, anchors, 32, 256, 1]]", "3 arguments"),
        ("[[4], 1, Segment, [x]]", "`coefficients`: 'x'"),
        ("[[9], 1, Segment, []]", "`from` 9"),
        ("[[2, 4], 1, Segment, []]", "must read the scale of the smallest, even stride first"),
    ],
)
def test_wrong_rows_of_a_segmentation_head(refused, row, words):
    assert words in refused(changed("[[4], 1, Detect, []]", row)).message


def test_too_many_filters_before_the_prototypes(refused):
    text = changed("[[4], 1, Detect, []]", "[[4], 1, Segment, [32, 1024]]")
    assert "filters before the prototypes are too many" in refused(text, width=50).message


def test_anchors_as_a_number_grow_with_the_stride(read):
    spec = read(changed("anchors:\n  - [10, 13, 16, 30]", "anchors: 4"))
    assert spec.anchors_px == ((2.5, 3.25, 4, 7.5, 8.25, 5.75, 5, 6.5),)


def test_yolov5s_own_anchors_are_the_grid_anchors_at_stride_8():
    spec = load_spec("yolov5-p34", num_classes=1)
    assert spec.anchors_px[0] == load_spec("yolov5n").anchors[0]


def test_mutated_files_end_in_one_sentence(tmp_path):
    """300 files with tokens deleted, replaced or doubled: a network or a TfyoloError, nothing else."""
    chance = random.Random(0)
    texts = [SMALL, OURS, THEIRS, (FOLDER / "yolov3-tiny.yaml").read_text()]
    odd = [
        "-1",
        "0",
        "99",
        "1e9",
        "[]",
        "{}",
        "null",
        "true",
        "'x'",
        "*a",
        "&a",
        "!!set",
        ".nan",
        "-",
        ":",
        "[",
        "Conv",
    ]
    odd += [
        "Detect",
        "1000000000000",
        "\t",
        "0x" + "f" * 40,
        "'__import__(\"os\")'",
        "Concat",
        "models:",
        "2001-01-01",
    ]
    path = tmp_path / "mutant.yaml"
    refusals = 0
    for _ in range(300):
        tokens = re.findall(r"\w+|[^\w]", chance.choice(texts))
        for _ in range(chance.randint(1, 4)):
            place = chance.randrange(len(tokens))
            tokens[place : place + 1] = chance.choice([[], [chance.choice(odd)], [tokens[place]] * 2])
        path.write_text("".join(tokens))
        try:
            load_spec(path)
        except TfyoloError as error:
            refusals += 1
            assert str(error).startswith(str(path))  # noqa: PT017
    assert 100 < refusals < 300
