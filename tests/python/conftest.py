"""The Python package as the build made it can be imported."""

import sys

from program import BUILD

sys.path.insert(0, str(BUILD / "python"))
