"""The Python package as the build made it can be imported, and Ctrl-C reaches what the tests start."""

import signal
import sys

from program import BUILD

sys.path.insert(0, str(BUILD / "python"))
# A run in the background is started with SIGINT ignored, which its children would inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)
