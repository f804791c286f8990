"""Launchers of sweeps that are packages of their own."""

from __future__ import annotations

EXTRAS = {"joblib": "joblib", "submitit_local": "submitit", "submitit_slurm": "submitit"}


def missing_launcher(option: str) -> str | None:
    """What to do where a launcher is not installed; None for one that there is not."""
    if option not in EXTRAS:
        return None
    return f"hydra/launcher={option}: a package is missing that it needs: pip install 'dgreid[{EXTRAS[option]}]'"
