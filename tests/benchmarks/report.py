"""Runs the benchmarks one after the other, and shows what they found beside what was found before and what was asked for.

    make bench-all                                  # all of them: some hours
    python -m tests.benchmarks.report --quick       # those of a few minutes
    python -m tests.benchmarks.report --no-run      # only what was measured last
    python -m tests.benchmarks.report --keep        # and takes it as the baseline

Only ratios are compared, each measured side by side in one run: times say something about a machine. What is worse than the baseline
by more than the noise is a warning. The report, with a plot, is bench-results/report.html; the baseline tests/benchmarks/baseline.json.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.benchmarks.deployment import RESULTS
from tests.benchmarks.documents import ASKED as DOCUMENTS_ASKED
from tests.benchmarks.floor import MOST as MOST_OF_FLOOR
from tests.benchmarks.rulebooks import ASKED as RECALL

BASELINE = Path(__file__).with_name("baseline.json")
NOISE = 0.10  # of a ratio, between two runs on one quiet machine
_BAR, _ROW, _NAMES = 360, 22, 420  # pixels


@dataclass(frozen=True)
class Ratio:
    """One thing that was measured, what was asked for, and which way is better."""

    name: str
    value: float
    asked: float | None = None
    higher_is_better: bool = False

    def is_worse_than(self, before: float) -> bool:
        """Tells whether it is worse by more than the noise."""
        return self.value < before * (1 - NOISE) if self.higher_is_better else self.value > before * (1 + NOISE)

    @property
    def reached(self) -> bool | None:
        """Whether it is what was asked for; None where nothing was."""
        if self.asked is None:
            return None
        return self.value >= self.asked if self.higher_is_better else self.value <= self.asked


Found = Callable[[Any], Iterator[Ratio]]


def _routes(found: Mapping[str, float]) -> Iterator[Ratio]:
    yield Ratio("an answer, to a retrieval", found["POST /answer"] / found["POST /retrieve"], 3.0)
    yield Ratio("who one is, to a retrieval", found["GET /auth/me, token"] / found["POST /retrieve"])


def _doors(found: Mapping[str, Mapping[str, float]]) -> Iterator[Ratio]:
    for what, doors in found.items():
        for door, median in doors.items():
            if door != "route":
                yield Ratio(f"{what} through {door}, to its route", median / doors["route"], 1.10)


def _pages(found: Mapping[str, Mapping[str, float]]) -> Iterator[Ratio]:
    for what, both in found.items():
        yield Ratio(f"the page of {what}, to its call", both["page"] / both["call"], 1.5)


def _walls(found: list[Mapping[str, float]]) -> Iterator[Ratio]:
    for row in found:
        yield Ratio(f"with walls, to without, {row['chunks']:,} chunks", row["ratio"], 1.05)


def _sealing(found: Mapping[str, Mapping[str, float]]) -> Iterator[Ratio]:
    for what, figures in found.items():
        if "share_percent" in figures:
            asked = 1.10 if " 1,000 " in what else None
            yield Ratio(
                f"with record, to without, {what.partition(', ')[2]}", 1 + figures["share_percent"] / 100, asked
            )


def _scale(found: Mapping[str, Any]) -> Iterator[Ratio]:
    for name, value in found["ratios"].items():
        what, _, bound = name.partition(" (")
        sign, _, asked = bound.rstrip(")").partition(" ")
        yield Ratio(what.strip(), value, float(asked) if asked else None, sign == "≥")


def _fairness(found: Mapping[str, float]) -> Iterator[Ratio]:
    yield Ratio("beside a flood, to alone, p99", found["p99_flooded"] / found["p99_alone"], 2.0)
    yield Ratio("beside a load generator, to alone, p99", found["p99_generator"] / found["p99_alone"])


def _documents(found: Mapping[str, float]) -> Iterator[Ratio]:
    for name, value in found.items():
        asked = DOCUMENTS_ASKED[name]
        yield Ratio(f"{name}, to what was asked for", value / asked.value, 1.0, asked.higher_is_better)


def _floor(found: Mapping[str, Mapping[str, float]]) -> Iterator[Ratio]:
    for chunks, taken in found.items():
        yield Ratio(f"a retrieval, to its floor, {int(chunks):,} chunks", taken["ratio"], MOST_OF_FLOOR[int(chunks)])


def _ingestion(found: Mapping[str, float]) -> Iterator[Ratio]:
    yield Ratio("batches, to the embedder alone", found["batches"], 0.80, higher_is_better=True)
    yield Ratio("files, to the embedder alone", found["files"], 0.90, higher_is_better=True)


def _rulebooks(found: Mapping[str, float]) -> Iterator[Ratio]:
    yield Ratio("what answers, in ten chunks of whole rulebooks", found["recall of 10"], RECALL, higher_is_better=True)


def _cells(found: Mapping[str, float]) -> Iterator[Ratio]:
    yield Ratio("a retrieval of a cell that knows a million tenants, to one without cells", found["ratio"], 1.02)
    if "ratio_of_three" in found:
        yield Ratio("a retrieval from a process of three cells, to one without cells", found["ratio_of_three"], 1.05)
    if "push_seconds" not in found:  # only retrievals were measured
        return
    yield Ratio("to find a tenant among a million, to 5 µs", found["slowest_resolution_us"] / 5, 1.0)
    yield Ratio("memory of a million tenants, to 200 MB", found["memory_mb"] / 200, 1.0)
    yield Ratio("a change reaches 500 subscribers, to a second", found["push_seconds"], 1.0)


@dataclass(frozen=True)
class Benchmark:
    """A module that writes a file of results, and how to read ratios from it."""

    module: str
    result: str | None = None
    ratios: Found | None = None
    quick: Sequence[str] | None = None  # options with which it takes a minute; None where it cannot

    def run(self, options: Sequence[str] = ()) -> bool:
        """Runs it; tells whether it found what was asked for."""
        command = [sys.executable, "-m", f"tests.benchmarks.{self.module}", *options]
        return subprocess.run(command, check=False).returncode == 0

    def read(self) -> list[Ratio]:
        """Returns what it found last."""
        path = RESULTS / self.result if self.result else None
        if path is None or self.ratios is None or not path.exists():
            return []
        return list(self.ratios(json.loads(path.read_text())))


BENCHMARKS = (
    Benchmark("routes", "routes.json", _routes, quick=()),
    Benchmark("doors", "doors.json", _doors, quick=()),
    Benchmark("pages", "pages.json", _pages, quick=()),
    Benchmark("floor", "floor.json", _floor, quick=()),
    Benchmark("cells", "cells.json", _cells, quick=("--retrieval",)),
    Benchmark("isolation_cost", "isolation-cost.json", _walls, quick=()),
    Benchmark("sealing", "sealing.json", _sealing, quick=("--recording",)),
    Benchmark("fairness", "fairness.json", _fairness, quick=("--rounds", "2")),
    Benchmark("documents", "documents.json", _documents),
    Benchmark("ingestion", "ingestion.json", _ingestion, quick=("--chunks", "500")),
    Benchmark("answers"),
    Benchmark("grounding"),
    Benchmark("personal_data"),
    Benchmark("quality"),
    Benchmark("local_models"),
    Benchmark("filings"),
    Benchmark("rulebooks", "rulebooks.json", _rulebooks),
    Benchmark("audit_verifier"),
    Benchmark("audit_log"),
    Benchmark("capacity"),
    Benchmark("scale", "scale.json", _scale),
)


def warnings(found: list[Ratio], before: Mapping[str, float]) -> list[str]:
    """Returns a sentence for each ratio that became worse."""
    return [
        f"{ratio.name}: {ratio.value:.2f}, and was {before[ratio.name]:.2f}"
        for ratio in found
        if ratio.name in before and ratio.is_worse_than(before[ratio.name])
    ]


def table(found: list[Ratio], before: Mapping[str, float]) -> Table:
    """Returns what is printed."""
    shown = Table("ratio", "measured", "before", "asked for")
    for ratio in found:
        earlier = f"{before[ratio.name]:.2f}" if ratio.name in before else "–"
        shown.add_row(ratio.name, f"{ratio.value:.2f}", earlier, _asked(ratio))
    return shown


def page(found: list[Ratio], before: Mapping[str, float]) -> str:
    """Returns the report as a page of its own."""
    return _PAGE.format(
        plot=_plot(found, before),
        rows="\n".join(_row(ratio, before.get(ratio.name)) for ratio in found),
        warnings="".join(f"<li>{escape(said)}</li>" for said in warnings(found, before)) or "<li>none</li>",
    )


def _row(ratio: Ratio, earlier: float | None) -> str:
    cells = (ratio.name, f"{ratio.value:.2f}", "–" if earlier is None else f"{earlier:.2f}", _asked(ratio))
    return f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"


def _asked(ratio: Ratio) -> str:
    if ratio.asked is None:
        return "–"
    return (
        f"{'≥' if ratio.higher_is_better else '≤'} {ratio.asked:.2f}, {'reached' if ratio.reached else 'not reached'}"
    )


def _plot(found: list[Ratio], before: Mapping[str, float]) -> str:
    """Returns a bar for each ratio, a line where it was before, and a dot at what was asked for."""
    widest = max([3.0, *(ratio.value for ratio in found)])
    scale = _BAR / widest
    parts = []
    for number, ratio in enumerate(found):
        y = number * _ROW
        colour = "#b3261e" if ratio.reached is False else "#2f5d50"
        parts.append(
            f'<text x="{_NAMES - 8}" y="{y + 15}" text-anchor="end">{escape(ratio.name)}</text>'
            f'<rect x="{_NAMES}" y="{y + 4}" width="{ratio.value * scale:.1f}" height="14" fill="{colour}"/>'
            f'<text x="{_NAMES + ratio.value * scale + 6:.1f}" y="{y + 15}">{ratio.value:.2f}</text>'
        )
        if ratio.name in before:
            x = _NAMES + before[ratio.name] * scale
            parts.append(f'<path d="M{x:.1f} {y + 2}v18" stroke="#000" stroke-width="2"/>')
        if ratio.asked is not None:
            parts.append(f'<circle cx="{_NAMES + ratio.asked * scale:.1f}" cy="{y + 11}" r="4" fill="#c77700"/>')
    size = f'width="{_NAMES + _BAR + 60}" height="{len(found) * _ROW}"'
    return f'<svg {size} role="img" aria-label="Ratios; the table has them as numbers">{"".join(parts)}</svg>'


_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Benchmarks of Affidavit</title>
<style>body {{ font: 14px sans-serif; margin: 2rem }} td, th {{ padding: .2rem 1rem .2rem 0; text-align: left }} svg text {{ font-size: 12px }}</style>
<h1>Benchmarks</h1>
<p>Bars are what was measured, lines what was measured before, dots what was asked for. A red bar does not reach it.</p>
{plot}
<h2>Worse than before</h2><ul>{warnings}</ul>
<h2>Figures</h2>
<table><tr><th>ratio</th><th>measured</th><th>before</th><th>asked for</th></tr>
{rows}
</table></html>
"""


def main() -> None:
    """Runs, prints and writes what the options say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="only those that take a few minutes")
    parser.add_argument("--no-run", action="store_true", help="show what was measured last")
    parser.add_argument("--keep", action="store_true", help="take what was measured as the baseline")
    options = parser.parse_args()
    console = Console()
    chosen = [benchmark for benchmark in BENCHMARKS if benchmark.quick is not None or not options.quick]
    for benchmark in () if options.no_run else chosen:
        console.rule(benchmark.module)
        if not benchmark.run((benchmark.quick or ()) if options.quick else ()):
            console.print(f"{benchmark.module} failed, or found less than was asked for")
    found = [ratio for benchmark in chosen for ratio in benchmark.read()]
    before: dict[str, float] = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    console.print(table(found, before))
    for said in warnings(found, before):
        console.print(f"warning: worse than before: {said}")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "report.html").write_text(page(found, before))
    if options.keep:
        kept = before | {ratio.name: round(ratio.value, 3) for ratio in found}
        BASELINE.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
