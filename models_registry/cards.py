"""A version's card: Markdown that people wrote, or that came with a model from anywhere, as HTML that is safe to show."""

import nh3
from markdown_it import MarkdownIt

_markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
_TAGS = {
    "p", "br", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "pre", "code", "em", "strong", "a",
    "table", "thead", "tbody", "tr", "th", "td",
}  # fmt: skip


def as_html(text: str) -> str:
    """No images: a card from elsewhere must not make a reader's browser call another server."""
    return nh3.clean(
        _markdown.render(text), tags=_TAGS, attributes={"a": {"href"}}, url_schemes={"http", "https", "mailto"}
    )
