"""What styles make of words on a web page: the declaration that counts decides, in whatever order all are written."""

from pathlib import Path

import pytest

from tests.documents import parsed


def read(folder: Path, body: str, sheet: str = "") -> tuple[str, set[str]]:
    path = folder / "page.html"
    path.write_text(f"<html><style>{sheet}</style><body><p>Body.</p>{body}</body></html>")
    texts, told = parsed.in_this_process(path)
    return " ".join(texts), {str(warning.kind) for warning in told}


@pytest.mark.parametrize(
    "style",
    [
        "overflow:hidden;height:0", "height:0;color:red;overflow:hidden", "overflow-y:hidden;max-height:1px", "font:0/0 a",
        "color:#0000", "color:#00000000", "color:#ffff", "color:rgba(0,0,0,0%)", "color:rgb(255 255 255 / 50%)",
        "color:hsl(0, 0%, 100%)", "color:#fff;background:#0000", "clip:rect(1px,1px,1px,1px)", "clip:rect(0 0 0 0)",
        "display:none!important;display:block", "color:black;color:white", "background:url(a.png);background:white;color:white",
        "font-size:12px;font-size:.5px", "content:';';display:none", "/* a */display:none",
    ],
)  # fmt: skip
def test_words_that_a_style_hides_are_left_out_and_told(tmp_path: Path, style: str) -> None:
    text, told = read(tmp_path, f'<p style="{style}">4711</p>')
    assert text == "Body."
    assert told & {"invisible_text", "hidden_content"}


@pytest.mark.parametrize(
    "style",
    [
        "display:none;display:block", "visibility:hidden;visibility:visible", "opacity:0;opacity:1", "font-size:0;font-size:12px",
        "text-decoration:line-through;text-decoration:none", "color:white;color:black", "color:rgba(0,0,0,0..5)", "color:rgb(..)",
        "color:white;background-image:url(dark.png)", "color:white;background:white;background-image:linear-gradient(red,red)",
        "color:white;background:url(dark.png) white", "color:white;background:#000000c0", "display:block!important;display:none",
        "height:0", "color:#fffff", "content:'display:none'", "background:url(a;display:none)", "font:italic 12px/1 Arial",
    ],
)  # fmt: skip
def test_words_that_a_style_shows_are_read(tmp_path: Path, style: str) -> None:
    assert read(tmp_path, f'<p style="{style}">4711</p>') == ("Body. 4711", set())


def test_white_words_before_a_picture_are_read(tmp_path: Path) -> None:
    body = '<div style="background-image:url(dark.png)"><p style="color:#fff">4711</p></div>'
    assert read(tmp_path, body) == ("Body. 4711", set())


@pytest.mark.parametrize(
    ("sheet", "style", "is_read"),
    [
        (".x{display:none}", "", False),
        (".x{display:none}", "display:block", True),
        (".x{display:none!important}", "display:block", False),
        ("#y{display:block} .x{display:none}", "", True),
        ("p#y{display:block} p.x{display:none}", "", True),
        ("p{display:block} .a, .x{display:none}", "", False),
        ("@media print{.x{display:none}}", "", True),
        ("@media screen{.b{color:red} .x{display:none}}", "", False),
        ("@media (max-width: 600px){.b{color:red} .x{display:none}}", "", True),
        ("@import 'a.css'; .x{height:0;overflow:hidden}", "", False),
        ("/* .x{display:none} */", "", True),
        ("@keyframes k{from{opacity:0}} .b{}", "", True),
    ],
)
def test_rules_count_as_a_browser_counts_them(tmp_path: Path, sheet: str, style: str, *, is_read: bool) -> None:
    text, told = read(tmp_path, f'<p class="x" id="y" style="{style}">4711</p>', sheet)
    assert ("4711" in text) is is_read
    assert bool(told) is not is_read
