"""Distributions of the discrete symbols."""
