"""Tasks: what is learned, as a few pure functions each. The model arrives as a value."""
