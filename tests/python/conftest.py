"""The Python package as the build made it."""

import os
import sys
from pathlib import Path

BUILD = Path(os.environ.get("VORTEX_BUILD_DIR", Path(__file__).resolve().parents[2] / "build/release"))
sys.path.insert(0, str(BUILD / "python"))
