"""Modules of `tfyolo.export` that must not import a deep learning framework."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import tfyolo.export

LIGHT = ("tfyolo.export.registry", "tfyolo.export.options", "tfyolo.export.tflite.runtime")
"""The table of formats, what a user chooses, and the runtime of devices without TensorFlow."""
FRAMEWORKS = ("tensorflow", "tf_keras", "keras", "torch")
_CODE = """
import importlib, json, sys

loaded = {}
for name in json.loads(sys.argv[1]):
    importlib.import_module(name)
    loaded[name] = sorted(set(json.loads(sys.argv[2])) & set(sys.modules))
print(json.dumps(loaded))
"""


def test_entries_and_litert_runtime_import_no_framework():
    folder = Path(tfyolo.export.__file__).parent
    entries = [f"tfyolo.export.{path.parent.name}.entry" for path in sorted(folder.glob("*/entry.py"))]
    assert len(entries) == 12
    modules = [*entries, *LIGHT]
    command = [sys.executable, "-c", _CODE, json.dumps(modules), json.dumps(FRAMEWORKS)]
    loaded = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert loaded == {name: [] for name in modules}
