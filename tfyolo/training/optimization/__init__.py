"""Schedule, optimizers and moving average of the weights."""
