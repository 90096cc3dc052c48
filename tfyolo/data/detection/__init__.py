"""Detection datasets: labels, scans, training batches."""
