"""The site of the sheet."""
