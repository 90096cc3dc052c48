"""The README's ten lines of training run as they stand, on a smaller data set and network."""

import re
from pathlib import Path

from tfyolo import datasets

ROOT = Path(__file__).parents[1]


def test_fit_in_ten_lines(tiny_keras, tmp_path, monkeypatch, capsys):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    code = next(block for block in blocks if ".fit(" in block)
    assert len(code.strip().splitlines()) <= 10
    data = datasets.shapes(tmp_path / "shapes", train=16, val=4, image_size=64)
    for name, mine in (("bccd.yaml", data), ("yolov5n.pt", tiny_keras), ("320", "64"), ("30", "1")):
        assert name in code
        code = code.replace(name, str(mine))
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})
    assert "('circle', 'rectangle', 'triangle')" in capsys.readouterr().out
