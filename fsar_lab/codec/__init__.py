"""The exported, integer-only codec: images to bytes and back."""
