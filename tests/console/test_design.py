"""The design language: text can be read on every ground in both schemes, as README.md says with figures."""

import re
from pathlib import Path

CONSOLE = Path(__file__).parents[2] / "backend/console"
TEXT, GROUNDS, EDGES = (
    ("ink", "quiet", "link", "good", "wait", "bad"),
    ("desk", "paper", "inset", "tint"),
    ("edge", "focus"),
)


def schemes() -> list[dict[str, str]]:
    """The colours of the light scheme and of the dark one."""
    css = (CONSOLE / "static/tokens.css").read_text()
    light, dark = css.split("@media")
    return [dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", part)) for part in (light, dark)]


def luminance(colour: str) -> float:
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """By WCAG 2.2."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_text_has_a_contrast_of_four_and_a_half_and_edges_of_three() -> None:
    for colours in schemes():
        for text in TEXT:
            for ground in GROUNDS:
                assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
        for edge in EDGES:
            assert contrast(colours[edge], colours["paper"]) >= 3, edge
        for ground in ("mark", "added", "removed"):
            assert contrast(colours["ink"], colours[ground]) >= 4.5, ground


def test_the_readme_has_the_figures() -> None:
    """Of each text on the ground where it is least."""
    readme = (CONSOLE / "README.md").read_text()
    for text in TEXT:
        figures = [min(contrast(colours[text], colours[g]) for g in GROUNDS) for colours in schemes()]
        row = f"| `--{text}` | {figures[0]:.1f} | {figures[1]:.1f} |"
        assert row in readme, row


def test_nothing_asks_for_a_style_or_a_script_of_another_kind() -> None:
    """What the content policy would refuse is not written."""
    for template in (CONSOLE / "templates").glob("*.html"):
        text = template.read_text()
        assert not re.search(
            r"\sstyle=|<style|\son(click|load|error|submit|change|input)=|javascript:|<script(?! type=\"module\" src=)|\|\s*safe",
            text,
        ), template.name
