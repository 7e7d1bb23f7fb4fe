"""Dust, an ssh cluster shell: one prompt, many machines."""

__version__ = "0.1.0"
