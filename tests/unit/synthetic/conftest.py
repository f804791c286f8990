from dataclasses import replace

import pytest

from dgreid.synthetic.census import Size
from dgreid.synthetic.layouts.dukemtmc import DukeMTMCLayout
from dgreid.synthetic.plan import Plan
from dgreid.synthetic.styles import CAMPUS


@pytest.fixture
def small_plan() -> Plan:
    """Twelve small pictures by two cameras."""
    return Plan("synthetic_campus", 0, replace(CAMPUS, cameras=2), DukeMTMCLayout(), Size(2, 1, 4, 32, 16))
