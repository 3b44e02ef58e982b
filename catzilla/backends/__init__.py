"""Where the backends are imported from: ``catzilla.backends.<name>``, each exposing ``BACKEND``.

The source of each is ``backends/<name>/`` at the top of the tree; an install maps them here.
"""
