"""A trained compressor to integers, what `fsar_lab.export` is made of; nothing that codes imports it."""
