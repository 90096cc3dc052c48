"""Training of detectors: what differs from other tasks."""
