"""Plots as the numbers that a template draws: made here, so that a page needs no script for them; a table stands beside each."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from babel.dates import format_date
from babel.numbers import format_decimal, format_percent

from backend.console.shown import STATES
from backend.console.viewer import Viewer
from backend.documents.versions.models import VersionSummary
from backend.evaluation.models import EvaluationRun
from backend.review.analysis.models import Statistics

_WIDTH, _LEFT, _FOOT = 720, 56, 22
_ROW = 26
_LABELS = 6
_WIDEST = 60


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle, what it says when it is pointed at, and the colour of its state."""

    x: float
    y: float
    width: float
    height: float
    said: str
    kind: str = ""


@dataclass(slots=True)
class Plot:
    """What is drawn; `said` is what a screen reader reads, `now` where the present is."""

    width: int
    height: int
    said: str
    left: int = _LEFT
    bars: list[Bar] = field(default_factory=list)
    lines: list[tuple[float, str]] = field(default_factory=list)
    labels: list[tuple[float, str]] = field(default_factory=list)
    now: float | None = None


def validity(versions: Sequence[VersionSummary], viewer: Viewer, said: str) -> Plot | None:
    """Returns when each version of a document applied, newest first; None where none ever did."""
    dated = [(v, v.effective_from) for v in versions if v.effective_from is not None]
    if not dated:
        return None
    now = datetime.now(UTC)
    begin = min(start for _, start in dated)
    ends = [v.effective_to for v, _ in dated if v.effective_to is not None]
    end = max(now, *ends, *(start for _, start in dated))
    margin = max((end - begin) / 12, timedelta(days=10))
    scale = _Scale(begin, end + margin)
    plot = Plot(_WIDTH, len(dated) * _ROW + _FOOT, said, now=scale.at(now))
    for row, (version, start) in enumerate(dated):
        until = version.effective_to or end + margin
        kind = "good" if version.in_force else "none" if until <= now else "wait"
        shown = f"{version.document_version}: {_date(start, viewer)} – {_date(version.effective_to, viewer)}"
        width = max(scale.at(until) - scale.at(start), 2)
        plot.bars.append(Bar(scale.at(start), row * _ROW + 5, width, _ROW - 10, shown, kind))
        plot.lines.append((row * _ROW + _ROW / 2, f"v{version.document_version}"))
    plot.labels = scale.labels(viewer)
    return plot


def counts(statistics: Statistics, chosen: str | None, viewer: Viewer, said: str) -> Plot:
    """Returns how many events there were in each interval, all of them or those of one value."""
    totals = [(b.start, b.counts.get(chosen, 0) if chosen else sum(b.counts.values())) for b in statistics.buckets]
    length = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(weeks=1)}[statistics.interval]
    most = max((count for _, count in totals), default=0) or 1
    height = 180
    scale = _Scale(statistics.since, statistics.until + length)
    plot = Plot(_WIDTH, height + _FOOT, said)
    for share in (0, 0.5, 1):
        plot.lines.append((height - share * (height - 12), format_decimal(round(share * most), locale=viewer.locale)))
    for start, count in totals:
        x = max(scale.at(start), _LEFT)
        tall = count / most * (height - 12)
        shown = f"{_date(start, viewer)}: {format_decimal(count, locale=viewer.locale)}"
        kind = STATES.get(chosen or "", "")
        plot.bars.append(Bar(x, height - tall, max(scale.at(start + length) - x - 2, 1), tall, shown, kind))
    plot.labels = scale.labels(viewer)
    return plot


def passed(runs: Sequence[EvaluationRun], viewer: Viewer, said: str) -> Plot | None:
    """Returns which share of its questions passed in each run, given newest first; None for none."""
    if not runs:
        return None
    height = 180
    plot = Plot(_WIDTH, height + _FOOT, said)
    for share in (0, 0.5, 1):
        plot.lines.append((height - share * (height - 12), str(format_percent(share, locale=viewer.locale))))
    step = (_WIDTH - _LEFT) / len(runs)
    for place, run in enumerate(reversed(runs)):
        tall = (run.passed or 0) / run.questions * (height - 12)
        kind = "bad" if run.compared and run.compared.worse else "good" if run.approved_at else "wait"
        shown = f"{run.name}, {_date(run.started_at, viewer)}: {run.passed}/{run.questions}"
        width = min(step - 2, _WIDEST)
        plot.bars.append(Bar(round(_LEFT + place * step, 1), height - tall, round(width, 1), tall, shown, kind))
    ends = runs[-1:] if len(runs) == 1 else [runs[-1], runs[0]]
    at = (_LEFT + 40, _WIDTH - 40)
    plot.labels = [(x, _date(run.started_at, viewer)) for x, run in zip(at, ends, strict=False)]
    return plot


@dataclass(frozen=True, slots=True)
class _Scale:
    begin: datetime
    end: datetime

    def at(self, moment: datetime) -> float:
        """Returns how far right a moment is."""
        return round(_LEFT + (moment - self.begin) / (self.end - self.begin) * (_WIDTH - _LEFT), 1)

    def labels(self, viewer: Viewer) -> list[tuple[float, str]]:
        """Returns dates under the plot, in even distances."""
        step = (self.end - self.begin) / _LABELS
        moments = [self.begin + n * step for n in range(_LABELS + 1)]
        return [(self.at(a + step / 2), _date(a + step / 2, viewer)) for a, _ in pairwise(moments)]


def _date(moment: datetime | None, viewer: Viewer) -> str:
    return "…" if moment is None else str(format_date(moment.astimezone(UTC).date(), "d MMM y", locale=viewer.locale))
