"""What a run would do: told by what a source lists, and by its answers where a list does not tell; nothing is fetched or kept."""

from backend.sources.connector import OF_ONE_FILE, Connector, ItemGone, ItemRefused, Seen, SourceFailed
from backend.sources.plan import KnownItem, Plan, renamed_by_tag, type_problem
from backend.sources.report import RunReport


async def expected(connector: Connector, plan: Plan) -> RunReport:
    """Returns what would come of a run; raises SourceFailed."""
    report, renamed = RunReport(), renamed_by_tag(plan)
    kept = {item.key_sha256 for item in renamed.values()}
    for seen, reason in plan.refused:
        report.tell("refused", seen.path, reason=reason)
    for seen, item in plan.to_check:
        if seen.key in renamed:
            report.tell("renamed", seen.path)
        elif seen.tag is not None:  # which says without asking that it is another
            _tell_listed(report, seen, item)
        else:
            await _ask(connector, report, seen, item)
    for _, seen in plan.moved:
        report.tell("renamed", seen.path)
    for item in plan.gone:
        if item.key_sha256 not in kept:
            report.tell("gone", item.path)
    report.counts["unchanged"] += plan.unchanged - len(plan.moved)
    return report


async def _ask(connector: Connector, report: RunReport, seen: Seen, item: KnownItem | None) -> None:
    """Asks whether a file is another, and reads none of it."""
    known_tag = item.tag if item is not None and item.state == "present" else None
    try:
        async with connector.fetch(seen, known_tag) as found:
            if found is None:
                report.counts["unchanged"] += 1
            elif (problem := type_problem(found.filename, found.media_type)) is not None:
                report.tell("refused", seen.path, reason=problem)
            else:
                report.tell(_change(item), seen.path)
    except SourceFailed as error:
        if error.code not in OF_ONE_FILE:
            raise
        report.tell("refused", seen.path, reason=error.code)
    except ItemRefused as error:
        report.tell("refused", seen.path, reason=error.reason)
    except ItemGone:
        if item is None:
            report.tell("refused", seen.path, reason="missing")
        elif item.state != "gone":
            report.tell("gone", seen.path)


def _tell_listed(report: RunReport, seen: Seen, item: KnownItem | None) -> None:
    """Tells what becomes of a file that its list says is new or changed."""
    if (problem := type_problem(seen.path, seen.media_type or "")) is not None:
        report.tell("refused", seen.path, reason=problem)
    else:
        report.tell(_change(item), seen.path)


def _change(item: KnownItem | None) -> str:
    return "new" if item is None or item.document_id is None else "changed"
