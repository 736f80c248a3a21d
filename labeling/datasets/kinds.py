"""What a row of each kind of data set must be. `read` gives the row as it is stored, or raises BadRow with the reason."""

from collections.abc import Callable

from django.utils.translation import gettext as _

from labeling.files import BadRow, messages_of, split_given, text_of
from labeling.identity import digest_of
from labeling.models import Dataset
from labeling.ranking import MAX_ITEMS, RankingError, WeakOrder

Kind = Dataset.Kind


def read(kind: str, row: dict) -> tuple[dict, str | None]:
    """The row in the shape of its kind, and the split that it gives itself, if any. Raises BadRow."""
    return _READERS[kind](row), split_given(row)


def group_of(kind: str, row: dict) -> str:
    """The digest by which a row's split is drawn: of its prompt, where it has one, so that a prompt is in one split alone."""
    return digest_of(row["text"] if kind in (Kind.TEXT, Kind.LABELLED) else row["prompt"])


def _text(row: dict) -> dict:
    return {"text": text_of(row, "text")}


def _labelled(row: dict) -> dict:
    label = row.get("label")
    if isinstance(label, bool) or not isinstance(label, str | int) or not str(label).strip():
        raise BadRow(_("“label” must be a text or a whole number."))
    return {"text": text_of(row, "text"), "label": str(label).strip()}


def _prompt(row: dict) -> dict:
    return {"prompt": messages_of(row.get("prompt"), "prompt")}


def _sft(row: dict) -> dict:
    return {
        "prompt": messages_of(row.get("prompt"), "prompt"),
        "completion": messages_of(row.get("completion"), "completion"),
    }


def _ranking(row: dict) -> dict:
    completions = row.get("completions")
    if not isinstance(completions, list) or not all(isinstance(text, str) for text in completions):
        raise BadRow(_("“completions” must be a list of texts."))
    if not 2 <= len(completions) <= MAX_ITEMS:
        raise BadRow(_("“completions” must be 2 to %(most)d texts.") % {"most": MAX_ITEMS})
    try:
        order = WeakOrder.parse(text_of(row, "ranking"), items=len(completions))
    except RankingError as error:
        raise BadRow(
            _("ranking “%(ranking)s”: %(problem)s")
            % {"ranking": row["ranking"], "problem": _(error.template) % error.params}
        ) from None
    weight = row.get("weight", 1.0)
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight < float("inf"):
        raise BadRow(_("“weight” must be a number, 0 or more."))
    task, annotator = row.get("task"), row.get("annotator", "")
    if not isinstance(task, str | int | None) or not isinstance(annotator, str | int):
        raise BadRow(_("“task” and “annotator” must be texts or numbers."))
    prompt = messages_of(row.get("prompt"), "prompt")
    return {
        "task": task if task is not None else digest_of([prompt, completions])[:16],
        "prompt": prompt,
        "completions": completions,
        "ranking": str(order),
        "annotator": annotator,
        "weight": float(weight),
    }


_READERS: dict[str, Callable[[dict], dict]] = {
    Kind.TEXT: _text,
    Kind.LABELLED: _labelled,
    Kind.PROMPTS: _prompt,
    Kind.SFT: _sft,
    Kind.RANKINGS: _ranking,
}

# The columns that a file of each kind must have, for people who prepare one.
COLUMNS = {
    Kind.TEXT: ["text"],
    Kind.LABELLED: ["text", "label"],
    Kind.PROMPTS: ["prompt"],
    Kind.SFT: ["prompt", "completion"],
    Kind.RANKINGS: ["prompt", "completions", "ranking"],
}
