"""What MediaPipe Tasks makes of images with a .tflite file; see __init__.py.

The first argument is `detect` or `classify`, the second the file, and the others are images.
"""

import json
import sys

import mediapipe as mp
from mediapipe.tasks.python import BaseOptions, vision


def corner_and_size(box):
    """Left, top, width and height in pixels."""
    return box.origin_x, box.origin_y, box.width, box.height


kind, model, *images = sys.argv[1:]
base = BaseOptions(model_asset_path=model)
found = []
for path in images:
    image = mp.Image.create_from_file(path)
    if kind == "detect":
        with vision.ObjectDetector.create_from_options(vision.ObjectDetectorOptions(base)) as detector:
            boxes = [(box.categories[0], box.bounding_box) for box in detector.detect(image).detections]
            found.append([[best.category_name, best.score, corner_and_size(box)] for best, box in boxes])
    else:
        with vision.ImageClassifier.create_from_options(vision.ImageClassifierOptions(base)) as classifier:
            categories = classifier.classify(image).classifications[0].categories
            found.append({category.category_name: category.score for category in categories})
print(json.dumps(found))
