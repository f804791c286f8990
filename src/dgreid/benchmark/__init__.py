"""Whole tables from one command: ``python -m dgreid.benchmark p3``."""
