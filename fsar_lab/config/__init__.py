"""Configuration: schema, composition, checks, and building objects. Importing it imports no torch."""
