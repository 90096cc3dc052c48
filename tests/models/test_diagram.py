"""Images of networks."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from tfyolo.errors import TfyoloError
from tfyolo.models import load_spec
from tfyolo.models.reports.diagram import mermaid, save_diagram

NAMES = ("yolov5n", "yolov5s-v1.0", "yolov5-bifpn")


@pytest.fixture(scope="module")
def svg(tmp_path_factory) -> str:
    return save_diagram(load_spec("yolov5n"), tmp_path_factory.mktemp("d") / "net.svg").read_text()


def test_svg_is_xml(svg):
    assert ElementTree.fromstring(svg).tag.endswith("svg")


@pytest.mark.parametrize("layer", load_spec("yolov5n").layers[:-1], ids=lambda layer: str(layer.index))
def test_svg_shows_every_layer(svg, layer):
    assert re.search(rf"\b{layer.index} {layer.block}\b", svg)


@pytest.mark.parametrize(
    "text", ["backbone", "neck", "head", "24 Detect P3", "24 Detect P4", "24 Detect P5", "yolov5n"]
)
def test_svg_shows_sections_and_scales(svg, text):
    assert text in svg


@pytest.mark.parametrize("name", NAMES)
def test_mermaid_has_every_connection(name):
    spec = load_spec(name)
    found = {(int(a), int(b)) for a, b in re.findall(r"L(\d+) --> L(\d+)", mermaid(spec))}
    assert found == {(source, x.index) for x in spec.layers for source in x.sources if source >= 0}


@pytest.mark.parametrize("name", NAMES)
def test_mermaid_has_every_layer_in_its_section(name):
    spec, section, found = load_spec(name), "", []
    for line in mermaid(spec).splitlines():
        section = line.split()[-1] if "subgraph" in line else section
        found += [(section, *match) for match in re.findall(r'L(\d+)\["\d+ (\w+)', line)]
    assert found == [(x.section, str(x.index), x.block) for x in spec.layers]


def test_png(tmp_path):
    path = save_diagram(load_spec("yolov3-tiny"), tmp_path / "net.png")
    assert path.read_bytes().startswith(b"\x89PNG")


def test_markdown(tmp_path):
    path = save_diagram(load_spec("yolov5n"), tmp_path / "net.md")
    assert path.read_text().startswith("# yolov5n\n\n```mermaid\nflowchart TB\n")


@pytest.mark.parametrize("name", ["a$b$c", "$\\bad$", "<&>--", "]]>"])
def test_names_are_text(tmp_path, name):
    spec = load_spec("yolov3-tiny")
    spec = type(spec)(**{**vars(spec), "name": name})
    assert ElementTree.fromstring(save_diagram(spec, tmp_path / "net.svg").read_text()) is not None


def test_other_suffixes(tmp_path):
    with pytest.raises(TfyoloError, match=r"\.svg, \.png or \.md"):
        save_diagram(load_spec("yolov5n"), tmp_path / "net.jpg")
