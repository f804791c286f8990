"""The embedded benchmark: procedural pedestrians in four domains, drawn from a seed, written in real layouts."""
