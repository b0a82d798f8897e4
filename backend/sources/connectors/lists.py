"""Reads the XML in which servers list what they hold; it is theirs, and declares nothing."""

from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from backend.sources.connector import SourceFailed

MOST_LIST_BYTES = 16 * 1024 * 1024


def parsed(body: bytes) -> Element:
    """Returns the root of a list; raises SourceFailed for what is no XML that may be read."""
    try:
        root: Element = fromstring(body, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise SourceFailed("no_list", "The list of the source is not XML that may be read.") from error
    return root


def text(element: Element, name: str) -> str | None:
    """Returns the text of a child, whatever its namespace; None where there is none."""
    found = element.findtext(f"{{*}}{name}")
    return found.strip() if found and found.strip() else None


def number(element: Element, name: str) -> int | None:
    """Returns a count that a child tells; None for what is none."""
    found = text(element, name)
    return int(found) if found is not None and found.isdecimal() and len(found) < 19 else None
