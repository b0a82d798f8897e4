"""What the isolation tests find out, collected for the report."""

import json
from pathlib import Path
from typing import Any

Findings = dict[str, Any]


def write(findings: Findings, folder: Path) -> None:
    """Writes isolation-report.json and isolation-report.md into a folder."""
    folder.mkdir(parents=True, exist_ok=True)  # or all that was asked would be lost at the end
    (folder / "isolation-report.json").write_text(json.dumps(findings, indent=2, sort_keys=True) + "\n")
    (folder / "isolation-report.md").write_text(markdown(findings))


def markdown(findings: Findings) -> str:
    """Returns the report for people."""
    tests = findings["tests"]
    lines = [
        "# Isolation report",
        "",
        f"Made {findings['time']} by `make isolation-report`, from the tests in `tests/isolation` run against a real"
        f" PostgreSQL as the runtime role. {tests['passed']} passed, {tests['skipped']} skipped, {tests['failed']} failed.",
        "",
        "## Versions",
        "",
        *(f"- {name}: {version}" for name, version in findings["versions"].items()),
    ]
    if attacks := findings.get("attacks"):
        held = sum(attack["held"] for attack in attacks)
        lines += [
            "",
            "## Hostile SQL in the attacker's own transaction",
            "",
            f"{len(attacks)} attacks, {held} held off.",
            "",
        ]
        lines += [f"- {'held' if a['held'] else '**BROKEN**'}: {a['name']}, as {a['role']}" for a in attacks]
    if (asked := findings.get("oracles")) and {"learnt", "learnt_when_cheap"} <= asked.keys():
        lines += ["", "## Questions about rows that a caller may not see", "",
                  f"{asked['statements']} generated statements as {asked['roles']} roles about {asked['columns']} columns of {asked['rows']}"
                  f" hidden rows in {asked['tables']} tables, each in two states of the row that differ in nothing else: {asked['learnt']} told the"
                  f" states apart, and {asked['through_an_index']} found what an index holds of the caller's own tenant (see below)."
                  f" With functions as cheap as PostgreSQL makes them, {asked['learnt_when_cheap']} of {asked['asked_when_cheap']} told them"
                  " apart."]  # fmt: skip
    if matrix := findings.get("access"):
        lines += ["", "## Routes × roles", "", f"{matrix['routes']} routes × {len(matrix['actors'])} kinds of caller ="
                  f" {matrix['requests']} requests, as reviewed in `access_matrix.txt`:", "", "```", *matrix["lines"], "```"]  # fmt: skip
        lines += [
            "",
            f"Another tenant's id was answered like a random one, in content and in time, at {matrix['ids']} routes.",
        ]
    if pool := findings.get("pool"):
        lines += ["", "## Shared connections", "", f"{pool['requests']} interleaved requests of {pool['callers']} callers over"
                  f" {pool['connections']} connections: {pool['wrong_rows']} rows of a wrong tenant.", ""]  # fmt: skip
        lines += [f"- {count} {manner}" for manner, count in pool["ended"].items()]
    if revocation := findings.get("revocation"):
        took = revocation["milliseconds"]
        lines += ["", "## Revocation", "", f"{revocation['rounds']} rounds ({', '.join(revocation['ways'])}): always refused on the"
                  f" next request, which took {took['median']} ms in the median and {took['maximum']} ms at most."]  # fmt: skip
    lines += ["", "## What it does not hide", "", "PostgreSQL shows to every role:", ""]
    lines += [f"- {shown}" for shown in findings["shown_by_postgres"]]
    return "\n".join(lines) + "\n"
