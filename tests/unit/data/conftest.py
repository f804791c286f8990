"""Generated trees and people are shared by the tests of this folder and its sub-folders."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "domains"))
sys.path.insert(0, str(Path(__file__).parent))
