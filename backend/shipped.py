"""What a release ships beside its code: revisions, policies, the script that prepares roles."""

from functools import cache
from importlib import resources
from pathlib import Path


def shipped(name: str) -> Path:
    """Returns the path of `migrations`, `policies` or `infra/roles.sql`: in an installed package, or in the repository."""
    installed = Path(str(resources.files("backend") / "_shipped"))
    return (installed if installed.is_dir() else installed.parent.parent) / name


@cache
def newest_revision() -> str:
    """Returns the revision that this code was written for."""
    return max(path.name.split("_", 1)[0] for path in (shipped("migrations") / "versions").glob("[0-9]*.py"))


@cache
def last_release() -> str:
    """Returns the revision of the release before this one, whose code still runs on what this one makes."""
    return (shipped("migrations") / "RELEASES.txt").read_text().split()[-1]
