"""Writes what the service is made of: a CycloneDX bill of materials and a report of licences, of what requirements.lock installs.

    python infra/sbom.py FOLDER     # FOLDER/sbom.cdx.json and FOLDER/licences.md; exit 1 if a licence is not allowed

Run it where requirements.lock is installed: names, versions and the marker of each package come out of the lock file, its licence
and what it needs out of its own metadata. Packages of other platforms are left out.
"""

import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import LicenseAcknowledgement
from cyclonedx.output.json import JsonV1Dot6
from license_expression import ExpressionError, get_spdx_licensing
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
_PINNED = re.compile(r"^([a-z0-9][a-z0-9._-]*)==([^ \\;]+)(?: *; *([^\\]+?))? *\\?$", re.MULTILINE)

# What may be in the product. LGPL and MPL bind who changes the package itself, which nobody here does.
ALLOWED = {
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "LGPL-2.1-or-later", "LGPL-3.0-only", "MIT", "MIT-0",
    "MIT-CMU", "MPL-2.0", "PostgreSQL", "PSF-2.0", "Unicode-3.0", "Unlicense", "Zlib",
}  # fmt: skip
# Classifiers and free texts of packages that do not state an SPDX expression yet.
_SPELLINGS = {
    "3-clause bsd license": "BSD-3-Clause", "apache 2.0": "Apache-2.0", "apache license 2.0": "Apache-2.0",
    "apache license v2.0": "Apache-2.0", "apache license, version 2.0": "Apache-2.0", "apache software license": "Apache-2.0",
    "apache-2": "Apache-2.0", "bsd": "BSD-3-Clause", "bsd license": "BSD-3-Clause", "bsd 3-clause license": "BSD-3-Clause",
    "bsd-3-clause, apache-2.0, dependency licenses": "BSD-3-Clause OR Apache-2.0",
    "gnu lesser general public license v2 or later (lgplv2+)": "LGPL-2.1-or-later",
    "isc license (iscl)": "ISC", "mit license": "MIT", "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "python software foundation license": "PSF-2.0", "the unlicense (unlicense)": "Unlicense",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Package:
    """One package that the lock file installs here; `licence` is an SPDX expression, None where it says none that is known."""

    name: str
    version: str
    licence: str | None
    needs: frozenset[str]

    @property
    def purl(self) -> PackageURL:
        """Its address among packages."""
        return PackageURL("pypi", None, self.name, self.version)

    @property
    def is_allowed(self) -> bool:
        """Whether one may ship it: of licences joined by OR one is enough, of those joined by AND all are needed."""
        if self.licence is None:
            return False
        licensing = get_spdx_licensing()
        terms = {
            key: licensing.TRUE if key in ALLOWED else licensing.FALSE for key in licensing.license_keys(self.licence)
        }
        parsed = licensing.parse(self.licence)
        return bool(
            parsed.subs({licensing.parse(key): term for key, term in terms.items()}).simplify() == licensing.TRUE
        )


def packages(lock: str) -> Iterator[Package]:
    """Yields the packages that a lock file installs on this machine, by name."""
    for name, version, marker in sorted(_PINNED.findall(lock)):
        if marker and not Requirement(f"{name}; {marker}").marker.evaluate():  # type: ignore[union-attr]
            continue
        found = distribution(name)
        if found.version != version:
            message = f"{name} {found.version} is installed, the lock file says {version}: run `make setup`"
            raise PackageNotFoundError(message)
        required = map(Requirement, found.requires or ())
        needs = frozenset(canonicalize_name(one.name) for one in required if not one.marker or one.marker.evaluate())
        yield Package(name, version, licence_of(name), needs)


def licence_of(name: str) -> str | None:
    """Returns what a package's metadata says of its licence, as an SPDX expression."""
    metadata = distribution(name).metadata
    classified = [
        line.rpartition(" :: ")[2] for line in metadata.get_all("Classifier") or () if line.startswith("License ::")
    ]
    for told in (metadata.get("License-Expression"), metadata.get("License"), *classified):
        if told and (expression := _spdx(told)):
            return expression
    return None


def _spdx(told: str) -> str | None:
    spelling = _SPELLINGS.get(told.strip().lower(), told.strip())
    try:
        return str(get_spdx_licensing().parse(spelling, validate=True))
    except ExpressionError:
        return None


def bill(product: dict[str, str], found: list[Package]) -> Bom:
    """Returns the bill of materials of the product, with what needs what."""
    bom, factory = Bom(), LicenseFactory()
    declared = LicenseAcknowledgement.DECLARED
    root = bom.metadata.component = Component(
        name=product["name"], version=product["version"], type=ComponentType.APPLICATION, bom_ref=product["name"],
        description=product["description"], purl=PackageURL("pypi", None, product["name"], product["version"]),
        licenses=[factory.make_from_string(product["license"], license_acknowledgement=declared)],
    )  # fmt: skip
    components = {
        package.name: Component(
            name=package.name, version=package.version, type=ComponentType.LIBRARY, bom_ref=str(package.purl),
            purl=package.purl,
            licenses=[factory.make_from_string(package.licence, license_acknowledgement=declared)] if package.licence else (),
        )
        for package in found
    }  # fmt: skip
    bom.components = components.values()
    needed = {canonicalize_name(Requirement(line).name) for line in product["dependencies"]}
    bom.register_dependency(root, [components[name] for name in sorted(needed) if name in components])
    for package in found:
        bom.register_dependency(
            components[package.name], [components[name] for name in sorted(package.needs) if name in components]
        )
    return bom


def report(found: list[Package]) -> str:
    """Returns the licences as a table in Markdown."""
    rows = "".join(
        f"| {one.name} | {one.version} | {one.licence or 'unknown'} | {'' if one.is_allowed else 'not allowed'} |\n"
        for one in found
    )
    return f"| package | version | licence | |\n|---|---|---|---|\n{rows}"


def main(folder: Path) -> int:
    """Writes both files; returns 1 and names the packages if one may not be shipped."""
    product = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found = list(packages((ROOT / "requirements.lock").read_text()))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sbom.cdx.json").write_text(JsonV1Dot6(bill(product, found)).output_as_string(indent=2) + "\n")
    (folder / "licences.md").write_text(report(found))
    refused = [f"{one.name} ({one.licence or 'unknown'})" for one in found if not one.is_allowed]
    sys.stderr.write(
        f"{len(found)} packages; " + (f"not allowed: {', '.join(refused)}\n" if refused else "all allowed\n")
    )
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
