"""Typed Python functions to C. Imported when the first function is looked at, never by ``import catzilla``."""
