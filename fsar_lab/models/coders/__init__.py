"""Distributions of the pixels."""
