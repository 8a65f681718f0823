"""Configuration: schema, composition, checks, and building objects. Nothing here imports torch at import time."""
