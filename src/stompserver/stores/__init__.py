"""What survives: one file per kind of storage, all of the same shape."""
