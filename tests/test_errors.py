"""Messages quote files, whose control characters must not reach a terminal or a log."""

from tfyolo.errors import TfyoloError


def test_control_characters_are_escaped_and_lines_are_kept():
    error = TfyoloError("no class `cat\x1b[2J\r`:\n  a.txt", path="m.onnx", fix="export it again")
    assert error.message == "no class `cat\\x1b[2J\\r`:\n  a.txt"
    assert str(error) == f"m.onnx: {error.message}\n  fix: export it again"
