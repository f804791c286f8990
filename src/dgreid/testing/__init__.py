"""The project's contract tests, for methods of one's own.

In a test of yours::

from dgreid.testing import check_strategy

def test_my_method():
check_strategy("conf/strategy/my_method.yaml")
"""

from dgreid.testing.strategies import check_strategy

__all__ = ["check_strategy"]
