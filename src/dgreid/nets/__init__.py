"""Nets: images to features."""
