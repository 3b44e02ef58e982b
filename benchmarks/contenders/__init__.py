"""Who is compared: one file each, with a function ``offers()``. A new file here is a new contender."""
