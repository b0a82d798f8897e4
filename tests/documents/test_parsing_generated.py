"""Of web pages: what style sheets number, write and lay out, and what is in them twice for those who cannot see it."""

from pathlib import Path

import pytest

from tests.documents import parsed


def read(folder: Path, body: str, sheet: str = "") -> list[str]:
    path = folder / "page.html"
    path.write_text(f"<html><head><style>{sheet}</style></head><body>{body}</body></html>")
    return parsed.in_this_process(path)[0]


NUMBERED = (
    "<h2>Scope</h2><p class=c>All branches.</p><h2>Limits</h2><p class=c>At most 500.</p><p class=c>At least 5.</p>"
)


@pytest.mark.parametrize(
    ("sheet", "body", "wanted"),
    [
        (
            'body{counter-reset:sec}h2{counter-increment:sec;counter-reset:sub}h2::before{content:"Section " counter(sec) ". "}'
            'p.c{counter-increment:sub}p.c:before{content:counter(sec) "." counter(sub) " "}',
            NUMBERED,
            ["Section 1. Scope", "1.1 All branches.", "Section 2. Limits", "2.1 At most 500.", "2.2 At least 5."],
        ),
        # As a program for documents in a browser exports its lists.
        (
            "ol.a.start{counter-reset:lst-a 3}.a>li{counter-increment:lst-a}ol.a{list-style-type:none}"
            '.a>li:before{content:"" counter(lst-a,lower-latin) ") "}',
            '<ol class="a start" start="4"><li>Keep records.</li><li>Report breaches.</li></ol>',
            ["d) Keep records.", "e) Report breaches."],
        ),
        (
            'ol{counter-reset:item;list-style:none}li{counter-increment:item}li::before{content:counters(item,".") " "}',
            "<ol><li>Fees<ol><li>Cards</li><li>Loans</li></ol></li><li>Limits</li></ol>",
            ["1 Fees", "1.1 Cards", "1.2 Loans", "2 Limits"],
        ),
        ('li::marker{content:"Art. " counter(list-item) ": "}', "<ol start=4><li>Fees</ol>", ["Art. 4: Fees"]),
        ('b::after{content:" Million EUR"}', "<p>The limit is <b>25</b>.</p>", ["The limit is 25 Million EUR."]),
        ("b::after{content:attr(data-unit)}", "<p>At most <b data-unit=%>25</b></p>", ["At most 25%"]),
        ('li::before{content:"\\2022 "}a::after{content:"\\f105"}', "<ul><li>Fee <a>25</a></ul>", ["Fee 25"]),
        ("p{counter-reset:" + "a " * 5_000 + "}", "<p>25</p>" * 50, ["25"] * 50),
    ],
)
def test_what_a_style_numbers_or_writes_is_read(tmp_path: Path, sheet: str, body: str, wanted: list[str]) -> None:
    assert read(tmp_path, body, sheet) == wanted


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ('<ul style="list-style-type:decimal"><li>Act.<li>Keep.</ul>', ["1. Act.", "2. Keep."]),
        ('<ol><li type="a">Act.<li type="a">Keep.</ol>', ["a. Act.", "b. Keep."]),
        ("<ol><li class=r>Act.<li class=r>Keep.</ol>", ["I. Act.", "II. Keep."]),
        ("<ol style='list-style-type:disc'><li>Act.</ol>", ["Act."]),
        ("<ol style='list-style-type:\"§ \"'><li>Act.</ol>", ["Act."]),
        ("<ul><li>Act.</ul>", ["Act."]),
    ],
)
def test_items_have_the_numbers_that_their_style_shows(tmp_path: Path, body: str, wanted: list[str]) -> None:
    assert read(tmp_path, body, "li.r{list-style-type:upper-roman}") == wanted


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ("<span class=b>Fee $25</span><span class=b>1,000 a day</span>", ["Fee $25", "1,000 a day"]),
        ("<p><span class=c>Gold</span><span class=c>25</span><span class=c>100</span></p>", ["Gold 25 100"]),
        ("<p class=f><span>25</span><span>100</span></p>", ["25 100"]),
        ("<p><span>25</span><span style='margin-left:2em'>100</span></p>", ["25 100"]),
        ("<p>1<b>,2</b><i style='padding:1px'>34</i></p>", ["1,234"]),
        ("<table><tr><td><span class=b>25</span><span class=b>100</span><td>7</tr></table>", ["25 100 | 7"]),
    ],
)
def test_figures_that_a_style_sets_apart_stay_apart(tmp_path: Path, body: str, wanted: list[str]) -> None:
    assert read(tmp_path, body, ".b{display:block}.c{display:table-cell}.f{display:flex}") == wanted


@pytest.mark.parametrize(
    "drawn",
    [
        '<span class="katex-mathml"><math><mn>5</mn><annotation>5</annotation></math></span><span aria-hidden="true">5</span>',
        '<span class="a-offscreen">5</span><span aria-hidden="true"><i>5</i></span>',
        '<nobr aria-hidden="true">5</nobr><span class="MJX_Assistive_MathML"><math><mn>5</mn></math></span>',
    ],
)
def test_a_figure_that_is_there_for_eyes_and_ears_is_read_once(tmp_path: Path, drawn: str) -> None:
    assert read(tmp_path, f"<p>The rate is {drawn} percent.</p>") == ["The rate is 5 percent."]
    assert read(tmp_path, "<p>The rate is <span aria-hidden=true>5</span> percent.</p>") == ["The rate is 5 percent."]


def test_a_cell_over_all_rows_is_carried_to_the_last(tmp_path: Path) -> None:
    rows = "<tr><td rowspan=0>Basic<td>26</tr><tr><td>27</tr><tr><td>28</tr>"
    assert read(tmp_path, f"<table>{rows}</table>") == ["Basic | 26", "Basic | 27", "Basic | 28"]


@pytest.mark.parametrize(
    ("equation", "wanted"),
    [
        ('<mfenced open="[" close="]"><mn>5</mn><mn>7</mn></mfenced>', "[5,7]"),
        ("<mmultiscripts><mn>5</mn><mn>1</mn><mn>2</mn></mmultiscripts>", "5_1^2"),
        ('<menclose notation="updiagonalstrike"><mn>4711</mn></menclose><mn>5</mn>', "[struck out: 4711]5"),
    ],
)
def test_figures_of_an_equation_are_not_run_together(tmp_path: Path, equation: str, wanted: str) -> None:
    assert read(tmp_path, f"<p><math>{equation}</math></p>") == [wanted]


def test_a_tree_of_its_own_within_a_page_is_told(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(
        '<p>Fees</p><x-card><template shadowrootmode="open"><p>4711</p></template></x-card><template>x</template>'
    )
    texts, told = parsed.in_this_process(path)
    assert texts == ["Fees"]
    assert [(str(warning.kind), warning.place) for warning in told] == [("embedded_file", "element template")]
