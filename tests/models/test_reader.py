"""YAML files: every value with its line, and one sentence for whatever is no configuration."""

from __future__ import annotations

import pytest

from tfyolo.configs.reader import read_yaml
from tfyolo.errors import TfyoloError
from tfyolo.inputs import CONFIGURATION


@pytest.fixture
def written(tmp_path):
    def write(content: str | bytes):
        path = tmp_path / "model.yaml"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def refused(path) -> TfyoloError:
    with pytest.raises(TfyoloError) as caught:
        read_yaml(path)
    assert caught.value.path == path
    return caught.value


def test_values_and_lines(written):
    document = read_yaml(written("a: 1\n\nb:\n  - x\n  - {c: 2,\n     d: 3}\n"))
    assert document.value == {"a": 1, "b": ["x", {"c": 2, "d": 3}]}
    places = [("a",), ("b",), ("b", 0), ("b", 1), ("b", 1, "d"), ("b", 1, "d", "deeper")]
    assert [document.line(*keys) for keys in places] == [1, 3, 4, 5, 6, 6]


def test_whole_numbers_as_names(written):
    document = read_yaml(written("names:\n  0: cat\n  1: dog\n"))
    assert document.line("names", 1) == 3


def test_byte_order_mark(written):
    assert read_yaml(written(b"\xef\xbb\xbfa: 1\n")).value == {"a": 1}


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        ("a: 1\nb: [1\nc: 2\n", 3, "not valid YAML"),
        ("a: 1\n\tb: 2\n", 2, "not valid YAML"),
        ("a: 1\nb: 2\na: 3\n", 3, "duplicate key `a`"),
        ("m:\n  x: 1\n  x: 2\n", 3, "duplicate key `x`"),
        ("a: 1\nb: !!python/object/apply:os.system [touch x]\n", 2, "constructor"),
        ("a: &n [1]\nb: [*n, *n]\n", 2, "aliases"),
        ("a: 1\n? [1, 2]\n: 3\n", 2, "list or mapping as a key"),
        ("a: 1\nb: 0x" + "f" * 5000, 2, "number with 5002 characters"),
        ("a: 1\nb: " + "[" * 60, 2, "50 levels deep"),
        ("a: 1\n---\nb: 2\n", 2, "document"),
    ],
)
def test_mistakes_are_named_with_their_line(written, content, line, words):
    error = refused(written(content))
    assert error.line == line
    assert words in error.message


@pytest.mark.parametrize("content", ["", "# nothing\n", "- 1\n- 2\n", "text", "3"])
def test_not_a_mapping(written, content):
    assert refused(written(content)).message == "is not a mapping of names to values"


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"a: \x00\n", b"a: 2001-99-99\n"])
def test_not_text(written, content):
    assert "not valid YAML" in refused(written(content)).message


def test_alias_bomb_is_refused_before_it_grows(written):
    levels = "".join(f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 9)}]\n" for i in range(1, 30))
    assert refused(written("l0: &l0 [x]\n" + levels)).line == 2


def test_deep_nesting_ends_soon(written):
    message = refused(written("a: " + "[" * (CONFIGURATION.max_bytes - 10))).message
    assert (
        "deep" in message or "exceeded maximum nesting depth" in message
    )  # newer versions of PyYAML have a limit of their own


def test_large_file(written):
    assert "too large for a configuration" in refused(written(b"#" * (CONFIGURATION.max_bytes + 1))).message


def test_endless_file(tmp_path):
    path = tmp_path / "model.yaml"
    path.symlink_to("/dev/zero")
    assert "a device" in refused(path).message


def test_missing_file(tmp_path):
    assert refused(tmp_path / "none.yaml").fix == "check the path"


def test_folder(tmp_path):
    assert "is a folder" in refused(tmp_path).message


def test_values_are_counted_before_they_are_built(written):
    rows = "".join(f"  - [-1, 1, Conv, [{i}]]\n" for i in range(20_000))
    assert "more than 150,000 values" in refused(written(f"backbone:\n{rows}")).message
