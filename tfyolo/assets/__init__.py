"""What ships with the package: a default model and a small data set."""
