"""Metadata of .tflite files as TensorFlow Lite Support's reader prints it; see __init__.py."""

import ctypes
import json
import sys

import libusb_package

ctypes.CDLL(str(libusb_package.get_library_path()), mode=ctypes.RTLD_GLOBAL)
from tensorflow_lite_support.metadata.python.metadata import MetadataDisplayer  # noqa: E402

found = []
for path in sys.argv[1:]:
    reader = MetadataDisplayer.with_model_file(path)
    files = {
        name: reader.get_associated_file_buffer(name).decode()
        for name in reader.get_packed_associated_file_list()
    }
    found.append({"metadata": json.loads(reader.get_metadata_json()), "files": files})
print(json.dumps(found))
