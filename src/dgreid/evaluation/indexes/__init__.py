"""What stands around an index of neighbours: its kinds, its file, its recall, and what its lists can answer."""
