"""Sets of files: writing, spooling and publishing them."""
