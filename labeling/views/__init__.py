"""Pages of labeling, a file for each kind of work."""
