import sys
from pathlib import Path

# The recording's rules are shared by the tests of several strategies.
sys.path.insert(0, str(Path(__file__).parent))
