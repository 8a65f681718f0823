import sys
from pathlib import Path

# entropy_reference.py is a module of these tests only; pytest imports the tests by path.
sys.path.insert(0, str(Path(__file__).parent))
