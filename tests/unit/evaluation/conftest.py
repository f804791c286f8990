import sys
from pathlib import Path

# Small retrieval problems and their plain-loop figures are shared by several tests.
sys.path.insert(0, str(Path(__file__).parent))
