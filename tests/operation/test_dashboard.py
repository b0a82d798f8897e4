"""infra/grafana/affidavit.json shows each thing that is measured, and asks for nothing that is not."""

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from backend import metrics
from backend.operation import measures

DASHBOARD: dict[str, Any] = json.loads(
    (Path(__file__).resolve().parents[2] / "infra" / "grafana" / "affidavit.json").read_text()
)
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
ASKED = [target["expr"] for panel in PANELS for target in panel["targets"]]
_NAME = re.compile(r"\baffidavit_\w+")
_LABELS = re.compile(r"\bby \(([\w, ]+)\)")
_SHOWN = re.compile(r"\{\{(\w+)\}\}")

assert metrics
assert measures  # what both measure is in the registry once they are imported


def measured() -> dict[str, set[str]]:
    """The labels of each measure, by the names under which Prometheus knows it."""
    found: dict[str, set[str]] = {}
    for collector, names in REGISTRY._collector_to_names.items():
        labels = set(getattr(collector, "_labelnames", ()))
        found |= {name: labels for name in names if name.startswith("affidavit_")}
    return found


@pytest.mark.parametrize("expression", ASKED)
def test_what_is_asked_for_is_measured_with_these_labels(expression: str) -> None:
    known = measured()
    names = _NAME.findall(expression)
    assert names
    for name in names:
        assert name in known, name
        for labels in _LABELS.findall(expression):
            assert set(labels.split(", ")) <= known[name] | {"le"}, expression


def test_everything_that_is_measured_is_shown() -> None:
    shown = {re.sub(r"_(total|bucket)$", "", name) for expression in ASKED for name in _NAME.findall(expression)}
    kept = {re.sub(r"_(total|bucket|count|sum|created)$", "", name) for name in measured()}
    assert kept - shown == set()


def test_a_legend_names_labels_that_are_there() -> None:
    for panel in PANELS:
        for target in panel["targets"]:
            by = {label for labels in _LABELS.findall(target["expr"]) for label in labels.split(", ")}
            assert set(_SHOWN.findall(target["legendFormat"])) <= by, panel["title"]


def test_panels_say_what_they_show_and_none_covers_another() -> None:
    assert all(panel["description"].endswith(".") and panel["fieldConfig"]["defaults"]["unit"] for panel in PANELS)
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        apart = (
            one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        )  # fmt: skip
        assert apart, (one, other)
