"""Functions on several processes of one group, for tests."""

from dgreid.testing.process_groups import on_processes

__all__ = ["on_processes"]
