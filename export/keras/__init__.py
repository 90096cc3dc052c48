"""The Keras format: table entry and runtime, which also runs the networks of `.pt` checkpoints."""
