"""Equations (Office MathML) written in one line, as a reader would say them with a keyboard."""

from backend.documents.parsing.equations import Laid, fraction, index, index_and_power, joined, power, struck
from backend.documents.parsing.openxml import Element

_STROKES = ("strikeH", "strikeV", "strikeBLTR", "strikeTLBR")
M = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"


def linear(element: Element) -> str:
    """Returns the equation as text: (a)/(b), x^2, sqrt(x), sum_(i=1)^(n) x."""
    return joined(_written(child) for child in element)


def _written(element: Element) -> str:  # noqa: C901, PLR0911, PLR0912 — a case for each construct
    name = element.tag.removeprefix(M) if isinstance(element.tag, str) else ""
    match name:
        case "f":
            return fraction(_part(element, "num"), _part(element, "den"))
        case "sSup":
            return power(_part(element, "e"), _part(element, "sup"))
        case "sSub":
            return index(_part(element, "e"), _part(element, "sub"))
        case "sSubSup":
            return index_and_power(_part(element, "e"), _part(element, "sub"), _part(element, "sup"))
        case "limLow":
            return index(_part(element, "e"), _part(element, "lim"))
        case "limUpp":
            return power(_part(element, "e"), _part(element, "lim"))
        case "sPre":
            return Laid(f"_{_part(element, 'sub')}^{_part(element, 'sup')} {_part(element, 'e')}")
        case "borderBox" if _is_struck(element):
            return struck(_part(element, "e"))
        case "rad":
            degree = _part(element, "deg")
            radicand = _part(element, "e")
            return Laid(f"root({degree}, {radicand})" if degree else f"sqrt({radicand})")
        case "nary":
            return _sum(element)
        case "d":
            return _delimited(element)
        case "m":
            rows = [
                "; ".join(linear(cell) for cell in row.iterchildren(M + "e")) for row in element.iterchildren(M + "mr")
            ]
            return f"[{' | '.join(rows)}]"
        case "eqArr":
            return "; ".join(linear(row) for row in element.iterchildren(M + "e"))
        case "t":
            return element.text or ""
        case _ if name.endswith(("Pr", "}del", "}moveFrom")):
            return ""
        case _:
            return joined([element.text or "" if element.tag.endswith("}t") else "", linear(element)])


def _is_struck(element: Element) -> bool:
    properties = element.find(M + "borderBoxPr")
    strokes = [] if properties is None else [properties.find(M + name) for name in _STROKES]
    return any(stroke is not None and stroke.get(M + "val", "1") not in {"0", "off", "false"} for stroke in strokes)


def _part(element: Element, name: str) -> str:
    child = element.find(M + name)
    return "" if child is None else linear(child)


def _sum(element: Element) -> str:
    character = element.find(f"{M}naryPr/{M}chr")
    sign = "∫" if character is None else character.get(M + "val", "∫")
    lower, upper = _part(element, "sub"), _part(element, "sup")
    return sign + (f"_({lower})" if lower else "") + (f"^({upper})" if upper else "") + f" {_part(element, 'e')}"


def _delimited(element: Element) -> str:
    def character(name: str, default: str) -> str:
        found = element.find(f"{M}dPr/{M}{name}")
        return default if found is None else found.get(M + "val", default)

    inside = character("sepChr", "|").join(linear(child) for child in element.iterchildren(M + "e"))
    return character("begChr", "(") + inside + character("endChr", ")")
