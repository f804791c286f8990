import sys
from pathlib import Path

# How configurations are composed is shared by several tests.
sys.path.insert(0, str(Path(__file__).parent))
