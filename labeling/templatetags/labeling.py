"""How prompts and figures of projects are written for people."""

from datetime import date

from django import template
from django.utils.formats import number_format
from django.utils.html import escape
from django.utils.safestring import mark_safe
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from labeling import history, reading
from labeling.files import Problem
from labeling.models import Assignment, Project
from labeling.review_queries import open_questions
from models_registry import words
from models_registry.cards import as_html

register = template.Library()


@register.filter
def excerpt(content: str | list, length: int = 120) -> str:
    """A prompt in one line: of a chat, what was said last."""
    text = content if isinstance(content, str) else str(content[-1].get("content", "")) if content else ""
    return Truncator(" ".join(text.split())).chars(length) or "…"


@register.filter
def markdown(text: str) -> str:
    """What people wrote in Markdown, as HTML that is safe to show."""
    return mark_safe(as_html(text))  # as_html has cleaned it


@register.simple_tag(name="reading")
def reading_tag(text: str, id: str = "", extra: str = "") -> str:
    """A text of a model or a prompt, as a person reads it: as it was written, and rendered besides if it looks like Markdown.

    The page brings css/reading.css. `data-view="written"` on anything around it shows what was written. Nobody knows the language: lang="".
    """
    named = f' id="{escape(id)}"' if id else ""
    css = escape(extra)
    if not text.strip():
        nothing = escape(_("(empty output)"))
        return mark_safe(
            f'<div class="reading {css}"{named}><div class="as-written"><em class="muted">{nothing}</em></div></div>'
        )
    written, rendered, marked = f'<div class="as-written" dir="auto">{escape(text)}</div>', "", ""
    if reading.looks_like_markdown(text):
        rendered, marked = (
            f'<div class="as-rendered">{reading.as_html(text)}</div>',
            " data-rendered",
        )  # it has cleaned it
    return mark_safe(f'<div class="reading {css}"{named}{marked} lang="">{rendered}{written}</div>')


@register.filter
def minus(figure: object) -> str:
    """A figure that may be below zero, with the sign that figures have everywhere."""
    return words.minus(str(figure))


@register.filter
def share(value: float) -> str:
    """A share in whole percent."""
    return f"{round(100 * value)} %"


@register.filter
def name_in(annotator: int | str, manifest: dict | None) -> str:
    """Of an annotator in a snapshot's row: the name that its manifest gives, else what the row says."""
    known = manifest.get("annotators", {}) if manifest else {}
    return known.get(str(annotator), {}).get("name") or str(annotator)


@register.filter
def in_words(turn: Assignment) -> str:
    """Why somebody skipped or flagged a task."""
    return history.reason(turn)


@register.simple_tag
def questions_waiting(project: Project) -> int:
    """Questions from the board that nobody has answered yet."""
    return open_questions(project).count()


@register.inclusion_tag("labeling/parts/daily_bars.html")
def daily_bars(days: list[tuple[date, int]]) -> dict:
    """A bar for each day; `days` oldest first."""
    step, height = 20, 64
    most = max((count for _day, count in days), default=0) or 1
    bars = [
        {
            "x": n * step,
            "y": height - height * count / most,
            "height": height * count / most,
            "day": day,
            "count": count,
        }
        for n, (day, count) in enumerate(days)
    ]
    return {
        "bars": bars,
        "width": len(days) * step,
        "bar_width": step - 4,
        "height": height,
        "first": days[0][0],
    }


@register.filter
def by_reason(problems: list[Problem]) -> list[str]:
    """A sentence for each reason, the most frequent first, with the first lines where it stands."""
    lines: dict[str, list[str]] = {}
    for problem in problems:
        where = f"{problem.file}:{problem.line}" if problem.file else str(problem.line)
        lines.setdefault(str(problem.reason), []).append(where)
    sentences = []
    for reason, where in sorted(lines.items(), key=lambda item: -len(item[1])):
        shown, more = ", ".join(where[:5]), len(where) - 5
        if more > 0:
            shown = ngettext("%(lines)s and %(n)s more", "%(lines)s and %(n)s more", more) % {
                "lines": shown,
                "n": number_format(more, force_grouping=True),
            }
        where_it_stands = ngettext("Line %(lines)s: %(reason)s", "Lines %(lines)s: %(reason)s", len(where))
        sentences.append(where_it_stands % {"lines": shown, "reason": reason})
    return sentences
