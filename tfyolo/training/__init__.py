"""Training: loss, optimizer, schedule, and the step that the loop and `fit` share."""
