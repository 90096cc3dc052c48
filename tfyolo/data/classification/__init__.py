"""Classification datasets: class folders, augmentation, training batches."""
