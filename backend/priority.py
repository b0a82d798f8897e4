"""Lowers the priority of background work, so that answers have the processor first where both run on one machine."""

import os
import sys
import threading

_NICENESS = 10


def give_way() -> None:
    """Lowers the priority of this process and of those that it starts, for good."""
    os.nice(_NICENESS)


def give_way_here() -> None:
    """Lowers the priority of the calling thread alone, for good, unless its process has given way already.

    Only Linux gives a thread a priority of its own; elsewhere nothing happens.
    """
    if sys.platform == "linux":
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, max(_NICENESS, os.getpriority(os.PRIO_PROCESS, thread)))
