"""The official converter, which turns SavedModels into TF.js folders: `program SAVED_MODEL WEB_MODEL ...`."""

import contextlib
import io
import json
import os
import sys

os.environ["TFDF_DISABLE_WELCOME_MESSAGE"] = "1"
with contextlib.redirect_stdout(io.StringIO()):
    from tensorflowjs.converters.tf_saved_model_conversion_v2 import convert_tf_saved_model

    for source, target in zip(sys.argv[1::2], sys.argv[2::2], strict=True):
        convert_tf_saved_model(source, target, use_structured_outputs_names=True)
print(json.dumps(sys.argv[2::2]))
