"""Data sets: in-memory uint8 images, gathered by tensor indexing. Importing the package imports no torch."""
