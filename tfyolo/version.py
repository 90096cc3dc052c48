"""The version, in a separate file, so that `tfyolo --version` imports nothing else."""

__version__ = "0.1.0"
