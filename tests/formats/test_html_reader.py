"""Pages from other programs are read, with any elements and any nesting."""

import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polaris_cli.formats.html_reader import HTMLReader
from polaris_cli.formats.markdown import to_markdown


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<p>One\n  line <b>bold</b><p>Two", "One line **bold**\n\nTwo"),
        ("<h1>A</h1><h3>B</h3>", "# A\n\n### B"),
        ("a<br>b<br><br>c", "a\nb\n\nc"),
        ("<div>a<div>b</div>c</div>", "a\n\nb\n\nc"),
        ("<i>a <b>b</i> c</b>", "a b c"),
        ("<p>* * *</p><p>5 * 3 *x*</p>", "* * *\n\n5 \\* 3 \\*x\\*"),
        ("<b>x</b> *y* a_b", "**x** \\*y\\* a\\_b"),
        ("<ul><li>a<li>b<ol start=3><li>c</ol></ul>", "+ a\n+ b\n\n  3. c"),
        ("<ul><li>a</ul><ul><li>b</ul>", "+ a\n* b"),
        ("<blockquote><p>a<p>b</blockquote><blockquote>c", "> a\n>\n> b\n\n> c"),
        ("<pre>  a\n\nb</pre>", "```\n  a\n\nb\n```"),
        ("<head><title>T</title><body>a<nav>n</nav><script>s</script>", "a"),
        ("a <a href='http://b.c'>b</a> <a href='x.html'>c</a>", "a [b](http://b.c) c"),
        ("<em> a </em>b<strong></strong>", "*a* b"),
        ("</p></ul></b></blockquote>a &amp; b<hr>", "a & b\n\n* * *"),
        ("<p># no heading</p><p>1984. It</p>", "\\# no heading\n\n1984\\. It"),
        ("<head><meta name=a><title>T</title><p>no end tag", "no end tag"),
        ("<ruby>漢<rp>(</rp><rt>kan</rt><rp>)</rp>字<rt>ji</ruby> a<rt>b<p>c", "漢字 a\n\nc"),
        ("a<center>***</center>b<menu>c</menu>d", "a\n\n* * *\n\nb\n\nc\n\nd"),
        ("a <select><option>b</select><button>c</button><svg><text>d</text></svg>e", "a e"),
        ('<b style="font-weight:normal;" id="docs"><p>a <b>b</b></p></b>', "a **b**"),
        ("<header>h</header>a<main><footer>f</footer></main></section><footer>f", "a"),
        ("<section><header><h2>A</h2></header>b</section><header>h</header>", "## A\n\nb"),
        ("<blockquote>a<footer>Ann</footer></blockquote><footer>f", "> a\n>\n> Ann"),
        ("<p>- Ha! - he said.<p>- No.<p>- <i>So</i>.", "- Ha! - he said.\n\n- No.\n\n- *So*."),
        ("<p>- Bread<p>- Salt", "\\- Bread\n\n\\- Salt"),
        ("He <del>ran</del><ins>walked</ins>, said <q>well</q>.", "He walked, said “well”."),
        ("caf&eacute; snake_case AT&amp;T &lt;b&gt;", "café snake_case AT&T <b>"),
    ],
)
def test_pages(page: str, text: str) -> None:
    assert to_markdown(HTMLReader(page).blocks) == text


CHAPTER = "<section><header>II<h2>Fog</h2></header>It came.<footer><p>End</footer></section>"


def test_in_a_book_the_header_of_a_page_is_that_of_a_chapter() -> None:
    page = "<body><header><h1>Fog</h1></header><p>It came."
    assert to_markdown(HTMLReader(page, in_book=True).blocks) == "# Fog\n\nIt came."
    assert to_markdown(HTMLReader(page).blocks) == "It came."


def test_headers_are_skipped_in_pages_by_polaris_alone() -> None:
    assert to_markdown(HTMLReader(CHAPTER).blocks) == "II\n\n## Fog\n\nIt came.\n\nEnd"
    ours = f'<head><meta name="generator" content="polaris"></head><body>{CHAPTER}'
    for reader in (HTMLReader(ours), HTMLReader(CHAPTER, ours=True)):
        assert to_markdown(reader.blocks) == "It came."
    other = HTMLReader(ours.replace("polaris", "another program"))
    assert "## Fog" in to_markdown(other.blocks)


def test_a_page_has_a_title_and_a_language() -> None:
    page = HTMLReader("<html lang=fr><title>A &amp; b</title><svg lang=en><title>C</title></svg>d")
    assert (page.title, page.language) == ("A & b", "fr")
    bare = HTMLReader("<p>a")
    assert (bare.title, bare.language) == ("", "")


NAMES = "p b i ul ol li blockquote pre h2 br hr code a head body table td"
TAGS = st.sampled_from(NAMES.split())
PIECES = st.one_of(TAGS.map("<{}>".format), TAGS.map("</{}>".format), st.text(max_size=5))


@given(st.lists(PIECES, max_size=20).map("".join))
def test_any_page_is_accepted(page: str) -> None:
    try:
        to_markdown(HTMLReader(page).blocks)
    except AssertionError:  # html.parser's own
        assert "<!" in page


@pytest.mark.slow
@pytest.mark.parametrize("tag", ["blockquote", "ul><li", "b", "p", "table"])
def test_many_elements_are_read_fast(tag: str) -> None:
    start = time.perf_counter()
    to_markdown(HTMLReader(f"<{tag}>a" * 3000).blocks)
    assert time.perf_counter() - start < 10


def test_a_huge_paragraph_needs_little_memory() -> None:
    reader = HTMLReader("<p>" + "a " * 100_000)
    tracemalloc.start()
    try:
        to_markdown(reader.blocks)
        assert tracemalloc.get_traced_memory()[1] < 20 * 200_000
    finally:
        tracemalloc.stop()
