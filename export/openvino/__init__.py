"""OpenVINO folders."""
