"""The tests of all rooms."""

import os
import sys

# What a machine forbids in its environment costs every start of a command in a test twice the time.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
