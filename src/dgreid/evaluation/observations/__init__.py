"""What pictures show, as numbers: histograms of pairs, curves, maps."""
