"""``python -m catzilla`` and the console script ``catzilla``: one command a file, in two forms."""
