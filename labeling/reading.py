"""How texts of models and prompts are shown to who reads them: Markdown and code as HTML that can do nothing, dialogues as turns.

Safe by three walls: the parser takes no HTML, what it writes goes through an allowlist, and nothing that is written names an address the browser
would call by itself. A link becomes a button that asks first (static/js/board/reading.js); an image stays the words it was given.
"""

import re
import unicodedata
from functools import lru_cache
from typing import TypedDict

import nh3
from django.utils.html import escape
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

# What nobody writes who does not mean Markdown: inside a line, and at its start.
_INLINE = {
    "**": re.compile(r"(?<![*\w])\*\*[^\s*](?:[^*\n]*[^\s*])?\*\*(?![*\w])"),
    "`": re.compile(r"(?<!`)`[^`\n]+`(?!`)"),
    "](http": re.compile(r"\[[^\[\]\n]+\]\(https?://[^()\s]+\)"),
}
_AT_START = re.compile(r" {0,3}(?:```|~~~|#{1,6} \S|> \S|\|?(?: ?:?-{3,}:? ?\|)+(?: ?:?-{3,}:? ?)?$)")
_ITEM = re.compile(r" {0,3}(?:[-*+]|\d{1,3}[.)]) \S")  # a single one is common in plain text, so it takes two
_STARTS = frozenset("`~#>|:-*+0123456789")
LIMIT = 40_000
_TAGS = {
    "p", "br", "hr", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "pre", "code", "em", "strong", "s", "div", "span", "button",
    "table", "thead", "tbody", "tr", "th", "td",
}  # fmt: skip
_ATTRIBUTES = {
    **{tag: {"dir"} for tag in ("p", "ul", "ol", "li", "blockquote", "h3", "h4", "h5", "h6", "table", "pre")},
    "ol": {"dir", "start"},
    "div": {"class"},
    "span": {"class", "dir"},
    "code": {"class"},
    "button": {"type", "class", "data-outside", "title"},
}
_MATHS = re.compile(
    r"\\\(.{1,2000}?\\\)|\\\[.{1,2000}?\\\]|\$\$.{1,2000}?\$\$|\$(?![\s\d])[^$\n]{0,200}?[^\s$\\]\$(?!\d)", re.DOTALL
)
# "\n\nHuman: … \n\nAssistant: …": dialogues written into one text.
_SPEAKER = re.compile(r"(?:\A\s*|\n\s*\n)(Human|User|Assistant|System)\s*:[ \t]*\n?", re.IGNORECASE)
_ROLES = {"human": "user", "user": "user", "assistant": "assistant", "system": "system"}


class Turn(TypedDict):
    role: str
    content: str


def looks_like_markdown(text: str) -> bool:
    """Longer texts than LIMIT are shown as they were written: reading them takes the person minutes, rendering them the server too long."""
    if len(text) > LIMIT:
        return False
    if any(sign in text and pattern.search(text) for sign, pattern in _INLINE.items()):
        return True
    items = 0
    for line in text.split("\n"):
        if line.lstrip(" ")[:1] not in _STARTS:
            continue
        items += _ITEM.match(line) is not None
        if items > 1 or _AT_START.match(line):
            return True
    return False


def as_html(text: str) -> str:
    """`text` as Markdown; line breaks stay, formulae stay as they were written."""
    return _as_html(text, get_language())


@lru_cache(maxsize=256)  # the next annotator reads the same; language, because buttons speak
def _as_html(text: str, _language: str | None) -> str:
    return nh3.clean(_parser.render(text), tags=_TAGS, attributes=_ATTRIBUTES, url_schemes=set(), link_rel=None)


def direction(content: str | list) -> str:
    """ "rtl" if the first letter with a direction is written from right to left."""
    texts = [content] if isinstance(content, str) else [str(turn.get("content", "")) for turn in content]
    for text in texts:
        for character in text:
            kind = unicodedata.bidirectional(character)
            if kind in ("R", "AL"):
                return "rtl"
            if kind == "L":
                return "ltr"
    return "ltr"


def turns(content: str | list) -> list[Turn] | None:
    """A prompt's turns, the last one being what is answered; None for a prompt that is no dialogue."""
    if isinstance(content, list):
        return [{"role": str(turn.get("role", "")), "content": str(turn.get("content", ""))} for turn in content]
    marks = list(_SPEAKER.finditer(content))
    if not marks or content[: marks[0].start()].strip() or "assistant" not in {mark[1].lower() for mark in marks}:
        return None
    ends = [mark.start() for mark in marks[1:]] + [len(content)]
    said: list[Turn] = [
        {"role": _ROLES[mark[1].lower()], "content": content[mark.end() : end].strip()}
        for mark, end in zip(marks, ends, strict=True)
    ]
    if not said[-1]["content"]:
        said.pop()  # "Assistant:" at the end asks for the answer
    return said


# The parser


class _Renderer(RendererHTML):
    def image(self, tokens, idx, options, env) -> str:
        alt = self.renderInlineAsText(tokens[idx].children or [], options, env).strip()
        address = tokens[idx].attrs.get("src", "")
        words = _("image, not loaded: %(words)s") % {"words": " ".join(filter(None, [alt, str(address)]))}
        return f'<span class="not-loaded">[{escape(words)}]</span>'

    def link_open(self, tokens, idx, options, env) -> str:
        address = escape(str(tokens[idx].attrs.get("href", "")))
        return f'<button type="button" class="outside" data-outside="{address}" title="{address}">'

    def link_close(self, tokens, idx, options, env) -> str:
        return "</button>"

    def fence(self, tokens, idx, options, env) -> str:
        language = tokens[idx].info.split(maxsplit=1)[0] if tokens[idx].info.strip() else ""
        return _code(tokens[idx].content, language)

    def code_block(self, tokens, idx, options, env) -> str:
        return _code(tokens[idx].content, "")

    def table_open(self, tokens, idx, options, env) -> str:
        return '<div class="wide"><table dir="auto">'

    def table_close(self, tokens, idx, options, env) -> str:
        return "</table></div>"

    def maths(self, tokens, idx, options, env) -> str:
        return f'<span class="maths" dir="ltr">{escape(tokens[idx].content)}</span>'


def _code(content: str, language: str) -> str:
    head = f'<span class="code-language">{escape(language)}</span>' if language else ""
    copy = f'<button type="button" class="copy copy-code">{escape(_("Copy"))}</button>'
    return f'<div class="code"><div class="code-head">{head}{copy}</div><pre dir="ltr"><code>{escape(content)}</code></pre></div>'


def _maths(state: StateInline, silent: bool) -> bool:
    r"""\( … \), \[ … \], $ … $ and $$ … $$ stay as they are: as Markdown their backslashes and underscores would be eaten."""
    if state.src[state.pos] not in "\\$" or not (found := _MATHS.match(state.src, state.pos)):
        return False
    if not silent:
        state.push("maths", "", 0).content = found[0]
    state.pos = found.end()
    return True


def _outside_only(address: str) -> bool:
    return address.lower().startswith(("http://", "https://"))


def _below_the_page(state) -> None:
    """Headings stand below the page's h2 and skip no level, whatever the text does; each block finds its own direction."""
    above: list[int] = []
    token: Token
    for token in state.tokens:
        if token.type == "heading_open":
            level = int(token.tag[1])
            above = [*(higher for higher in above if higher < level), level]
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(2 + len(above), 6)}"
        if token.nesting == 1 and token.tag in _ATTRIBUTES and token.type != "table_open":
            token.attrSet("dir", "auto")


_parser = MarkdownIt("commonmark", {"html": False, "breaks": True}, renderer_cls=_Renderer).enable(
    ["table", "strikethrough"]
)
_parser.inline.ruler.before("escape", "maths", _maths)
_parser.core.ruler.push("below_the_page", _below_the_page)
_parser.validateLink = _outside_only  # type: ignore[method-assign]
