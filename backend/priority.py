"""Lets background work give way, so that answers have the processor first where both run on one machine."""

import ctypes
import os
import platform
import sys

_NICENESS = 10
_LONG_TURN = 100_000_000  # nanoseconds, the longest that Linux grants
_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}  # the number of the system call, for which Python has no function


class _Attributes(ctypes.Structure):
    """As the system call takes them (sched_setattr(2))."""

    _fields_ = (
        ("size", ctypes.c_uint32),
        ("policy", ctypes.c_uint32),
        ("flags", ctypes.c_uint64),
        ("nice", ctypes.c_int32),
        ("priority", ctypes.c_uint32),
        ("runtime", ctypes.c_uint64),
        ("deadline", ctypes.c_uint64),
        ("period", ctypes.c_uint64),
    )


def give_way() -> None:
    """Lowers the priority of this process and of those that it starts, for good."""
    os.nice(_NICENESS)
    take_long_turns()


def take_long_turns() -> None:
    """Lets whatever else wakes up run at once in the place of this thread, which computes for long and can be interrupted.

    It asks for long turns, and Linux from 6.12 on lets those go first who want short ones; otherwise they would wait for some
    milliseconds, and an answer wakes ten times. The thread's share of the processor stays the same, so it may hold what others
    wait for. Threads and processes that it starts take long turns too. On another system nothing changes.
    """
    number = _SCHED_SETATTR.get(platform.machine())
    if sys.platform != "linux" or number is None or os.sched_getscheduler(0) != os.SCHED_OTHER:
        return
    attributes = _Attributes(
        size=ctypes.sizeof(_Attributes), nice=os.getpriority(os.PRIO_PROCESS, 0), runtime=_LONG_TURN
    )
    ctypes.CDLL(None).syscall(number, 0, ctypes.byref(attributes), 0)  # fails where it is not allowed
