"""Draws that a test gives by name, and that remember what they were asked."""

from __future__ import annotations


class GivenDraws:
    """``GivenDraws(mean=..., std=...)`` gives the tensor (or number) of a name, whatever is asked of it."""

    def __init__(self, asked=None, under="", **values):
        self.values = values
        self.asked = [] if asked is None else asked
        self.place = under

    def under(self, name):
        return GivenDraws(self.asked, f"{self.place}{name}/", **self.values)

    def number(self, name):
        return self._give("number", name)

    def uniform(self, rows, width, name):
        return self._give("uniform", name, rows, width)

    def normal(self, rows, width, name):
        return self._give("normal", name, rows, width)

    def beta(self, rows, concentration, name):
        return self._give("beta", name, rows, concentration)

    def permutation(self, count, name):
        return self._give("permutation", name, count)

    def together(self, values):
        return values

    def _give(self, kind, name, *sizes):
        self.asked.append((kind, f"{self.place}{name}", *sizes))
        return self.values[name]


NO_DRAWS = GivenDraws()
"""Fails when asked for anything."""
