"""Pages of people, a file for each subject."""
