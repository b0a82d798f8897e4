"""Ids of requests beside the times of several processes, whose sums the library shows without any.

Each process keeps the newest request of each bucket, and leaves them in the folder of its measures at most once a second.
"""

import os
import time
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import orjson
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar, Sample
from prometheus_client.utils import floatToGoString

_WRITTEN_EVERY_SECONDS = 1.0
_FILES = "exemplars_*.json"

_Place = tuple[str, str, str]  # the histogram, the value of its one label, and the upper end of a bucket
_Kept = tuple[Mapping[str, str], float, float]  # the ids, how long it took, and when that was


@dataclass
class ExemplarFile:
    """What this process leaves for those who ask for the measures of all."""

    folder: Path
    _kept: dict[_Place, _Kept] = field(default_factory=dict)
    _due_at: float = 0.0

    def note(self, name: str, label: str, seconds: float, ids: Mapping[str, str], buckets: Sequence[float]) -> None:
        """Keeps a request as the newest of its bucket."""
        place = bisect_left(buckets, seconds)
        end = floatToGoString(buckets[place] if place < len(buckets) else float("inf"))  # type: ignore[no-untyped-call]
        self._kept[name, label, end] = (ids, seconds, time.time())

    def leave(self) -> None:
        """Writes what is kept, unless that was done less than a second ago; at the end of a request, or it lacks its own time."""
        now = time.monotonic()
        if now < self._due_at:
            return
        self._due_at = now + _WRITTEN_EVERY_SECONDS
        path = self.folder / _FILES.replace("*", str(os.getpid()))
        partial = path.with_suffix(".partial")
        with suppress(OSError):  # a request does not fail for want of an exemplar
            partial.write_bytes(orjson.dumps([[*place, *kept] for place, kept in self._kept.items()]))
            partial.replace(path)


class AllProcesses(Collector):
    """The measures of all processes that write to a folder, with the newest of their exemplars."""

    def __init__(self, folder: Path) -> None:
        """Reads the folder whenever somebody asks."""
        self._folder = folder
        self._sums = MultiProcessCollector(CollectorRegistry(), str(folder))  # type: ignore[no-untyped-call]

    def collect(self) -> Iterator[Metric]:
        """Yields each measure."""
        newest = self._newest()
        for metric in self._sums.collect():  # type: ignore[no-untyped-call]
            metric.samples = [_with_exemplar(sample, newest) for sample in metric.samples]
            yield metric

    def _newest(self) -> dict[_Place, Exemplar]:
        found: dict[_Place, Exemplar] = {}
        for path in self._folder.glob(_FILES):
            with suppress(OSError, ValueError):
                for name, label, end, ids, seconds, moment in orjson.loads(path.read_bytes()):
                    known = found.get((name, label, end))
                    if known is None or (known.timestamp or 0) < moment:
                        found[name, label, end] = Exemplar(ids, seconds, moment)
        return found


def _with_exemplar(sample: Sample, newest: Mapping[_Place, Exemplar]) -> Sample:
    if not sample.name.endswith("_bucket"):
        return sample
    (label,) = [value for name, value in sample.labels.items() if name != "le"] or [""]
    place = (sample.name.removesuffix("_bucket"), label, sample.labels["le"])
    return sample._replace(exemplar=newest.get(place))
