"""What a process gives up before it opens a file that nobody vouches for."""

import os
import resource
from typing import BinaryIO

from backend.documents.parsing.limits import ParseLimits

_OPEN_FILES = 32


def private_stdout() -> BinaryIO:
    """Returns standard output, leaving /dev/null in its place: no library can write between the lines."""
    output = os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)
    return output


def confine(limits: ParseLimits) -> None:
    """Gives up address space, processor time, other processes, other files, and every place to write."""
    for kind, soft, hard in (
        (resource.RLIMIT_AS, limits.memory_bytes, limits.memory_bytes),
        # At the soft limit the kernel says why it ends the process, at the hard limit it only kills it.
        (resource.RLIMIT_CPU, limits.cpu_seconds, limits.cpu_seconds + 1),
        (resource.RLIMIT_NOFILE, _OPEN_FILES, _OPEN_FILES),
        (resource.RLIMIT_NPROC, 0, 0),
        (resource.RLIMIT_FSIZE, 0, 0),
        (resource.RLIMIT_CORE, 0, 0),
    ):
        _, most = resource.getrlimit(kind)
        bounded = (soft, hard) if most == resource.RLIM_INFINITY else (min(soft, most), min(hard, most))
        resource.setrlimit(kind, bounded)
