"""The words of pages in each language: English stands in templates and code, translations in `languages/`."""

from collections.abc import Callable
from functools import cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path

from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from markupsafe import Markup

FOLDER = Path(__file__).parent / "languages"


@cache
def words(language: str) -> NullTranslations:
    """Returns the catalogue of a language, compiled once; English needs none."""
    path = FOLDER / f"{language}.po"
    if not path.exists():
        return NullTranslations()
    with path.open("rb") as source:
        catalogue = read_po(source, locale=language)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return GNUTranslations(compiled)


class Phrases:
    """What templates say in one language, as markup: the words are ours, and what they are given is escaped.

    Each phrase is looked up once. Jinja's own functions look it up and format it at every use, which was a third of a page.
    """

    def __init__(self, catalogue: NullTranslations) -> None:
        self._catalogue = catalogue
        self._plain: dict[str, Markup] = {}
        self._open: dict[str, Markup] = {}

    def functions(self) -> dict[str, Callable[..., Markup]]:
        """Returns the functions by the names that templates know."""
        return {"_": self.gettext, "gettext": self.gettext, "ngettext": self.ngettext}

    def gettext(self, text: str, /, **given: object) -> Markup:
        """Returns a phrase with what it is given."""
        if given:
            said = self._open.get(text) or self._open.setdefault(text, Markup(self._catalogue.gettext(text)))  # noqa: S704
            return said % given
        return self._plain.get(text) or self._plain.setdefault(text, Markup(self._catalogue.gettext(text)) % {})  # noqa: S704

    def ngettext(self, one: str, many: str, num: int, /, **given: object) -> Markup:
        """Returns a phrase about a number of things."""
        return Markup(self._catalogue.ngettext(one, many, num)) % {"num": num, **given}  # noqa: S704 - ours


def N_(text: str) -> str:  # noqa: N802 - gettext's own name for it
    """Marks a text that is translated where it is shown."""
    return text


def texts() -> set[str | tuple[str, ...]]:
    """Returns every text that pages show in English, singular and plural together; for the tests and for translators."""
    options = {"extensions": "jinja2.ext.i18n", "trim_blocks": "true", "lstrip_blocks": "true", "silent": "false"}
    methods = [("**.py", "python"), ("templates/**.html", "jinja2.ext:babel_extract")]
    keywords = {"_": None, "gettext": None, "ngettext": (1, 2), "N_": None}
    found = extract_from_dir(FOLDER.parent, methods, {"templates/**.html": options}, keywords)
    return {message for _, _, message, _, _ in found}
