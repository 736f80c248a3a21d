"""The weak order."""
