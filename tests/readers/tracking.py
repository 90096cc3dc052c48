"""Runs the code of docs/guides/tracking.md as it stands, on a file and a video of a test; see __init__.py.

Arguments: this repository, the .tflite file, the video, and where to write. Prints, per frame, the class, the
identity and the left edge of each tracked box.
"""

import json
import re
import sys
from pathlib import Path

root, model, source, target = map(Path, sys.argv[1:])
sys.path.insert(0, str(root))
page = (root / "docs/guides/tracking.md").read_text()
code = re.search(r"```python internet\n(.*?)```", page, re.DOTALL)[1]
for name, mine in (("best.tflite", model), ("street.mp4", source), ("tracked.mp4", target)):
    assert name in code
    code = code.replace(name, str(mine))

from trackers import ByteTrackTracker  # noqa: E402

frames, update = [], ByteTrackTracker.update


def noted(self, detections):
    """Update, and keep what came out."""
    found = update(self, detections)
    rows = zip(found["class_name"], found.tracker_id, found.xyxy[:, 0], strict=True)
    frames.append([(str(name), int(track), float(left)) for name, track, left in rows if track >= 0])
    return found


ByteTrackTracker.update = noted
exec(compile(code, "docs/guides/tracking.md", "exec"), {})
print(json.dumps(frames))
