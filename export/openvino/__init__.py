"""The OpenVINO format: table entry, writer, runtime, and the checks of untrusted folders."""
