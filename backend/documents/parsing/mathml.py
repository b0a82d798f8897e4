"""Equations of web pages (MathML) written in one line, as those of office documents are."""

from selectolax.lexbor import LexborNode

from backend.documents.parsing.equations import Laid, fraction, grouped, index, index_and_power, joined, power, struck

_SILENT = {"annotation", "annotation-xml"}


def linear(node: LexborNode, deepest: int = 50) -> str:  # noqa: C901, PLR0911, PLR0912 — a return for each construct
    """Returns an equation as text: (a)/(b), x^2, sqrt(x)."""
    if node.is_text_node:
        return " ".join((node.text_content or "").split())
    tag = node.tag or ""
    if tag in _SILENT or not deepest:
        return ""
    parts = [linear(child, deepest - 1) for child in node.iter(include_text=not _has_elements(node))]
    match tag, parts:
        case "mfrac", [above, below]:
            return fraction(above, below)
        case (("msup" | "mover"), [base, over]):
            return power(base, over)
        case (("msub" | "munder"), [base, under]):
            return index(base, under)
        case (("msubsup" | "munderover"), [base, under, over]):
            return index_and_power(base, under, over)
        case "mroot", [base, degree]:
            return Laid(f"root({degree}, {base})")
        case "mfenced", _:
            between = (node.attributes.get("separators") or ",")[:1]
            opened, closed = (node.attributes.get(side) or default for side, default in (("open", "("), ("close", ")")))
            return Laid(f"{opened}{between.join(parts)}{closed}")
        case "mmultiscripts", [base, *scripts]:
            lowered, raised = filter(None, scripts[::2]), filter(None, scripts[1::2])
            return Laid(base + "".join(f"_{grouped(s)}" for s in lowered) + "".join(f"^{grouped(s)}" for s in raised))
        case "menclose", _ if "strike" in (node.attributes.get("notation") or ""):
            return struck(joined(parts))
        case "msqrt", _:
            return Laid(f"sqrt({joined(parts)})")
        case (("mtr" | "mtable"), _):
            return "; ".join(parts)
        case _:
            return joined(parts)


def _has_elements(node: LexborNode) -> bool:
    return next(iter(node.iter()), None) is not None
