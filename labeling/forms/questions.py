"""The question editor: a list of questions as a browser's form, and the way back. What is allowed is decided by labeling.questions."""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from django.utils.text import slugify
from django.utils.translation import gettext as _

from labeling.project_settings import asks_otherwise
from labeling.questions import OUTPUT, PRESETS, WITH_OPTIONS
from people import texts

Draft = list[dict[str, Any]]
TEXTS = ("key", "scope", "kind", "title", "hint", "low_label", "high_label")


def read(data: Mapping[str, str]) -> Draft:
    """The questions of a posted form, in their order; nothing is checked but what a field can hold."""
    count = min(int(data.get("count", "0") or 0), 100) if str(data.get("count", "0")).isdecimal() else 0
    return [_one(data, str(number)) for number in range(count)]


def _one(data: Mapping[str, str], number: str) -> dict[str, Any]:
    def said(name: str) -> str:
        return str(data.get(f"{number}-{name}", "")).strip()

    question: dict[str, Any] = {name: said(name) for name in TEXTS} | {"required": bool(said("required"))}
    if question["kind"] in WITH_OPTIONS:
        question["options"] = [line.strip() for line in said("options").splitlines() if line.strip()]
    if question["kind"] == "scale":
        question |= {"low": _number(said("low") or "1"), "high": _number(said("high") or "7")}
    else:
        del question["low_label"], question["high_label"]
    return question


def _number(text: str) -> int | str:
    return int(text) if re.fullmatch(r"[+-]?\d{1,6}", text) else text


def blank() -> dict[str, Any]:
    return {"key": "", "scope": OUTPUT, "kind": "scale", "title": "", "low": 1, "high": 7, "required": False}


def edited(draft: Draft, do: str, data: Mapping[str, str]) -> tuple[Draft, list[str]]:
    """The draft after a button of the editor was pressed, and what was wrong: `add`, `preset`, `up:2`, `down:2`, `remove:2`, `json`."""
    draft = list(draft)
    verb, _sign, place = do.partition(":")
    at = int(place) if place.isdecimal() and int(place) < len(draft) else None
    if verb == "add":
        draft.append(blank())
    elif verb == "preset" and (preset := PRESETS.get(data.get("preset", ""))):
        taken = {question["key"] for question in draft}
        draft += [question for question in preset.definition() if question["key"] not in taken]
    elif verb == "json":
        try:
            given = json.loads(data.get("json", ""))
        except (json.JSONDecodeError, RecursionError) as error:
            return draft, [_("This is no JSON: %(error)s.") % {"error": error}]
        if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
            return draft, [_("Expected a list of questions: [{…}, …].")]
        if not texts.is_storable(given):
            return draft, [texts.no_text()]
        draft = given
    elif at is not None and verb == "remove":
        del draft[at]
    elif at is not None and verb in ("up", "down"):
        to = max(0, min(len(draft) - 1, at + (1 if verb == "down" else -1)))
        draft.insert(to, draft.pop(at))
    return draft, []


def with_keys(draft: Draft, saved: Iterable[Mapping[str, Any]], answered: Collection[str]) -> Draft:
    """Each question with a key: the one it has, else one made from its title.

    `answered`: the keys of questions that people have answered. One of them that now asks in another way gets a new key: answers of two kinds
    must not mix.
    """
    before = {question["key"]: question for question in saved}
    kept: Draft = []
    for question in draft:
        key = question.get("key", "")
        taken = {other["key"] for other in kept} | {str(other.get("key")) for other in draft if other is not question}
        if not key:
            key = _free(
                slugify(str(question.get("title", ""))).replace("-", "_").lstrip("0123456789_")[:30],
                taken | before.keys(),
            )
        elif key in before and asks_otherwise(before[key], question) and key in answered:
            key = _free(key, taken | before.keys())
        kept.append(question | {"key": key})
    return kept


def _free(base: str, taken: Collection[str]) -> str:
    base = base or "question"
    return next(key for n in range(1, len(taken) + 2) if (key := base if n == 1 else f"{base}_{n}") not in taken)
