"""Real and generated data sets, and the way from their files to batches."""
