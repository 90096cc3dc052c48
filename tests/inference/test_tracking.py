"""The documented way to track objects runs, and keeps identities."""

from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np

from tests.exports import exported_once, run_folder
from tests.inference.videos import read_video
from tests.readers import read_with
from tfyolo.assets import DEFAULT_MODEL, MINI_DATA
from tfyolo.data.images.read import read_image
from tfyolo.export.job import ExportJob
from tfyolo.export.options import ExportOptions
from tfyolo.weights import load_model

ROOT = Path(__file__).parents[2]
STEP, FRAMES = 4, 6


def test_identities_follow_a_pan_over_a_photograph(tmp_path, tmp_path_factory):
    model, contract = load_model(DEFAULT_MODEL)
    request = ExportJob(model, contract, ExportOptions(image_size=contract.image_size, nms="none"))
    file = exported_once(request, "tflite", run_folder(tmp_path_factory))
    photo = read_image(sorted((MINI_DATA.parent / "images").rglob("*.jpg"))[0])
    video, tracked = tmp_path / "pan.avi", tmp_path / "tracked.mp4"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter_fourcc(*"MJPG"), 10, (600, 480))
    for frame in range(FRAMES):
        writer.write(np.ascontiguousarray(photo[:, STEP * frame : STEP * frame + 600, ::-1]))
    writer.release()
    tracks = defaultdict(list)
    for frame, boxes in enumerate(read_with("tracking", ROOT, file, video, tracked)):
        for name, identity, left in boxes:
            tracks[identity].append((frame, name, left))
    long = [rows for rows in tracks.values() if len(rows) >= FRAMES - 2 and rows[0][2] > 2 * STEP * FRAMES]
    assert len(long) >= 3
    for rows in long:
        frames, names, lefts = zip(*rows, strict=True)
        assert len(set(names)) == 1
        speed = np.polyfit(frames, lefts, 1)[0]
        assert abs(speed + STEP) < 1
    assert len(read_video(tracked)[0]) == FRAMES
