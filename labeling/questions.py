"""What a project asks beside the ranking: about each output, or about the task. Pure data: no models, no pages.

A definition is a list of objects, as `Project.questions` holds it:

    {"key": "quality", "scope": "output", "kind": "scale", "title": "Overall quality", "low": 1, "high": 7, "required": true}

Answers come and go by letters, {"task": {key: value}, "outputs": {"A": {key: value}}}, and are stored by completion id. A question without
an answer has no key there. What a value is, by kind:

    scale      a whole number from low to high
    checks     a list of options, in the order of the question; none chosen is no answer
    choice     one of the options
    text       a text
    rewrite    a longer text: what the answer should have been; for an output it may begin as that output
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from labeling.ranking import LETTERS

OUTPUT, TASK = "output", "task"
SCOPES = {OUTPUT: gettext_lazy("each output"), TASK: gettext_lazy("the task")}
KINDS = {
    "scale": gettext_lazy("scale"),
    "checks": gettext_lazy("checkboxes"),
    "choice": gettext_lazy("one of several"),
    "text": gettext_lazy("text"),
    "rewrite": gettext_lazy("rewrite"),
}
WITH_OPTIONS = ("checks", "choice")
FOLDED = ("checks", "text", "rewrite")
FIELD = "answer"  # a form's fields are named answer.A.quality, answer.task.ideal
MOST_QUESTIONS, MOST_OPTIONS, MOST_STEPS = 20, 20, 10
MOST_CHARACTERS = {"text": 2_000, "rewrite": 20_000}

Answers = Mapping[str, Any]


@dataclass(frozen=True)
class Question:
    key: str
    kind: str
    title: str
    scope: str = OUTPUT
    hint: str = ""
    options: tuple[str, ...] = ()
    low: int = 1
    high: int = 7
    low_label: str = ""
    high_label: str = ""
    required: bool = False

    @property
    def steps(self) -> range:
        """The numbers of a scale."""
        return range(self.low, self.high + 1)

    @property
    def most_characters(self) -> int:
        return MOST_CHARACTERS.get(self.kind, 0)

    @property
    def folds(self) -> bool:
        """May it wait behind its title until somebody has something to say?"""
        return not self.required and self.kind in FOLDED

    def as_json(self) -> dict[str, Any]:
        """As a definition holds it: without what the kind has no use for."""
        unused = set() if self.kind == "scale" else {"low", "high", "low_label", "high_label"}
        if self.kind not in WITH_OPTIONS:
            unused.add("options")
        said = {name: value for name, value in asdict(self).items() if name not in unused}
        return said | ({"options": list(self.options)} if "options" in said else {})


def read(definition: Sequence[Mapping[str, Any]]) -> list[Question]:
    """The questions of a definition in which `problems_with` finds nothing."""
    names = {field.name for field in fields(Question)}
    return [
        Question(**{**{k: v for k, v in each.items() if k in names}, "options": tuple(each.get("options", ()))})
        for each in definition
    ]


def problems_with(definition: object) -> list[str]:
    """All that is wrong with a definition, each a sentence that names the question by its place."""
    if not isinstance(definition, list):
        return [_("The questions must be a list of objects.")]
    problems = []
    if len(definition) > MOST_QUESTIONS:
        problems.append(_("At most %(n)s questions: nobody answers more than that for long.") % {"n": MOST_QUESTIONS})
    keys: set[object] = set()
    for number, each in enumerate(definition, start=1):
        found = _problems_of(each)
        if isinstance(each, dict):
            key = each.get("key")
            if isinstance(key, str) and key in keys:
                found.append(_("another question has the key “%(key)s”") % {"key": key})
            keys.add(key if isinstance(key, str) else None)
        problems += [_("Question %(n)s: %(problem)s.") % {"n": number, "problem": problem} for problem in found]
    return problems


def _problems_of(each: object) -> list[str]:
    if not isinstance(each, dict):
        return [_("it must be an object")]
    problems = []
    if unknown := sorted(map(str, set(each) - {field.name for field in fields(Question)})):
        problems.append(_("unknown fields: %(names)s") % {"names": ", ".join(unknown)})
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", str(each.get("key", ""))):
        problems.append(_("the key must begin with a letter a–z and have only letters a–z, digits and _"))
    for name, most in {"title": 200, "hint": 500, "low_label": 60, "high_label": 60}.items():
        text = each.get(name, "")
        if not isinstance(text, str) or len(text) > most:
            problems.append(_("%(name)s must be a text of at most %(n)s characters") % {"name": name, "n": most})
    if not str(each.get("title", "")).strip():
        problems.append(_("it needs a title: what is asked"))
    if not _is_one_of(each.get("scope", OUTPUT), SCOPES):
        problems.append(_("scope must be one of: %(names)s") % {"names": ", ".join(SCOPES)})
    if not isinstance(each.get("required", False), bool):
        problems.append(_("required must be true or false"))
    kind = each.get("kind")
    if not _is_one_of(kind, KINDS):
        problems.append(_("kind must be one of: %(names)s") % {"names": ", ".join(KINDS)})
    elif kind == "scale":
        problems += _problems_of_scale(each.get("low", 1), each.get("high", 7))
    elif kind in WITH_OPTIONS:
        problems += _problems_of_options(each.get("options", ()), fewest=1 if kind == "checks" else 2)
    if kind not in WITH_OPTIONS and not isinstance(each.get("options", ()), list | tuple):
        problems.append(_("the options must be a list of texts"))
    return problems


def _is_one_of(value: object, names: Collection[str]) -> bool:
    return isinstance(value, str) and value in names


def _problems_of_scale(low: object, high: object) -> list[str]:
    if not all(isinstance(end, int) and not isinstance(end, bool) for end in (low, high)):
        return [_("the ends of a scale are whole numbers")]
    assert isinstance(low, int)
    assert isinstance(high, int)
    if not -100 <= low < high <= 100 or high - low >= MOST_STEPS:
        return [_("a scale goes up, in 2 to %(n)s steps") % {"n": MOST_STEPS}]
    return []


def _problems_of_options(options: object, fewest: int) -> list[str]:
    if not isinstance(options, list | tuple) or not all(isinstance(option, str) for option in options):
        return [_("the options must be a list of texts")]
    problems = []
    texts = [option.strip() for option in options]
    if not fewest <= len(texts) <= MOST_OPTIONS:
        problems.append(_("it needs %(few)s to %(many)s options") % {"few": fewest, "many": MOST_OPTIONS})
    if not all(0 < len(text) <= 120 for text in texts):
        problems.append(_("an option has 1 to %(n)s characters") % {"n": 120})
    if len(set(texts)) < len(texts):
        problems.append(_("no option may stand there twice"))
    return problems


# Answers


def check(
    questions: Sequence[Question], answers: object, items: int, *, asked: Collection[int] | None = None
) -> list[str]:
    """All that is wrong with answers about `items` outputs, each a sentence for the person at the board.

    `asked`: the outputs about which required questions must be answered (those that a partial ranking names); None: all.
    """
    if not _well_formed(answers):
        return [_("The answers must be an object with “task” and “outputs”.")]
    assert isinstance(answers, dict)
    about_outputs = [question for question in questions if question.scope == OUTPUT]
    letters = LETTERS[:items]
    problems = [
        _("There is no output %(letter)s to answer about.") % {"letter": letter}
        for letter in answers.get("outputs", {})
        if letter not in letters or len(letter) != 1
    ]
    problems += _wrong([question for question in questions if question.scope == TASK], answers.get("task", {}))
    for letter in letters:
        problems += _wrong(about_outputs, answers.get("outputs", {}).get(letter, {}), letter)
    return problems + [sentence for _question, _letters, sentence in missing(questions, answers, items, asked=asked)]


def missing(
    questions: Sequence[Question], answers: Answers, items: int, *, asked: Collection[int] | None = None
) -> list[tuple[Question, str, str]]:
    """(question, letters for which an answer is missing or "", the sentence that says so) for each required question."""
    found = []
    for question in questions:
        if not question.required:
            continue
        if question.scope == TASK:
            if is_empty(answers.get("task", {}).get(question.key)):
                found.append((question, "", _("Not answered yet: %(question)s") % {"question": question.title}))
            continue
        about = range(items) if asked is None else sorted(asked)
        letters = "".join(
            LETTERS[item]
            for item in about
            if is_empty(answers.get("outputs", {}).get(LETTERS[item], {}).get(question.key))
        )
        if letters:
            sentence = _("Not answered yet for %(letters)s: %(question)s")
            found.append((question, letters, sentence % {"question": question.title, "letters": ", ".join(letters)}))
    return found


def is_empty(value: object) -> bool:
    return value is None or value == [] or (isinstance(value, str) and not value.strip())


def cleaned(questions: Sequence[Question], answers: Answers) -> dict[str, Any]:
    """Checked answers without what says nothing; {} if nothing is left."""
    order = {question.key: question for question in questions}

    def said(values: Mapping[str, Any]) -> dict[str, Any]:
        kept = {key: values[key] for key in order if key in values and not is_empty(values[key])}
        for key, value in kept.items():
            if isinstance(value, list):
                kept[key] = [option for option in order[key].options if option in value]
            elif isinstance(value, str):
                kept[key] = value.strip()
        return kept

    task = said(answers.get("task", {}))
    outputs = {letter: kept for letter, values in answers.get("outputs", {}).items() if (kept := said(values))}
    return {name: value for name, value in [("task", task), ("outputs", outputs)] if value}


def from_fields(questions: Sequence[Question], fields: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The answers in the fields of a form, each with its values; whatever is wrong with them is left for `check` to see."""
    kinds = {question.key: question.kind for question in questions}
    answers: dict[str, Any] = {}
    for name, values in fields.items():
        field, _dot, rest = name.partition(".")
        place, _dot, key = rest.partition(".")
        if field != FIELD or not key or all(is_empty(value) for value in values):
            continue
        about = (
            answers.setdefault(TASK, {}) if place == TASK else answers.setdefault("outputs", {}).setdefault(place, {})
        )
        number = kinds.get(key) == "scale" and re.fullmatch(r"-?\d{1,3}", values[0])
        about[key] = list(values) if kinds.get(key) == "checks" else int(values[0]) if number else values[0]
    return answers


def to_fields(answers: Answers) -> list[tuple[str, str]]:
    """The way back of `from_fields`: (name, value) of each field that says something."""
    about = [*answers.get("outputs", {}).items(), *([(TASK, answers[TASK])] if answers.get(TASK) else [])]
    return [
        (f"{FIELD}.{place}.{key}", str(each))
        for place, values in about
        for key, value in values.items()
        for each in (value if isinstance(value, list) else [value])
    ]


def to_stored(answers: Answers, shown: Sequence[int]) -> dict[str, Any]:
    """Answers by completion id. `shown`: the completion ids in the order of the board's letters."""
    outputs = {str(shown[LETTERS.index(letter)]): values for letter, values in answers.get("outputs", {}).items()}
    return {**answers, "outputs": outputs} if outputs else dict(answers)


def to_letters(stored: Answers, shown: Sequence[int]) -> dict[str, Any]:
    """Stored answers by the board's letters: the way back of `to_stored`."""
    letters = {str(completion): LETTERS[item] for item, completion in enumerate(shown)}
    outputs = {letters[key]: values for key, values in stored.get("outputs", {}).items() if key in letters}
    return {**stored, "outputs": dict(sorted(outputs.items()))} if outputs else dict(stored)


def in_words(questions: Sequence[Question], values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(title, what was answered) of the values about one output, or about the task. A question that is asked no more stands under its key, last."""
    titles = {question.key: question.title for question in questions}
    order = [*(key for key in titles if key in values), *(key for key in values if key not in titles)]
    said = [(titles.get(key, key), values[key]) for key in order]
    return [(title, ", ".join(value) if isinstance(value, list) else str(value)) for title, value in said]


def _well_formed(answers: object) -> bool:
    if not isinstance(answers, dict) or set(answers) - {"task", "outputs"}:
        return False
    task, outputs = answers.get("task", {}), answers.get("outputs", {})
    return (
        isinstance(task, dict)
        and isinstance(outputs, dict)
        and all(isinstance(values, dict) for values in outputs.values())
    )


def _wrong(questions: Sequence[Question], values: Mapping[str, Any], letter: str = "") -> list[str]:
    """What is wrong with the values given about one output, or about the task."""
    known = {question.key: question for question in questions}
    problems = []
    for key, value in values.items():
        title = known[key].title if key in known else key
        where = f"{title} ({letter})" if letter else title
        if key not in known:
            problems.append(_("%(question)s: the project does not ask this.") % {"question": where})
        elif not is_empty(value) and (problem := _wrong_value(known[key], value)):
            problems.append(_("%(question)s: %(problem)s.") % {"question": where, "problem": problem})
    return problems


def _wrong_value(question: Question, value: object) -> str:
    match question.kind:
        case "scale":
            if not isinstance(value, int) or isinstance(value, bool) or value not in question.steps:
                return _("choose a whole number from %(low)s to %(high)s") % {
                    "low": question.low,
                    "high": question.high,
                }
        case "checks":
            if not isinstance(value, list) or any(option not in question.options for option in value):
                return _("choose among the options")
        case "choice":
            if value not in question.options:
                return _("choose one of the options")
        case _:
            if not isinstance(value, str) or len(value) > question.most_characters:
                return _("write at most %(n)s characters") % {"n": question.most_characters}
    return ""


# What many projects ask


@dataclass(frozen=True)
class Preset:
    """Questions to begin with. Titles are lazy: `definition()` is in the language of whoever takes them."""

    title: Any
    about: Any
    questions: tuple[dict[str, Any], ...]

    def definition(self) -> list[dict[str, Any]]:
        def plain(value: Any) -> Any:
            if isinstance(value, list | tuple):
                return [plain(each) for each in value]
            return value if isinstance(value, bool | int) else str(value)

        taken = [{name: plain(value) for name, value in question.items()} for question in self.questions]
        return [question.as_json() for question in read(taken)]


PRESETS: dict[str, Preset] = {
    "quality": Preset(
        gettext_lazy("Overall quality"),
        gettext_lazy("A scale from 1 to 7 for each output, as InstructGPT asked for it."),
        (
            {
                "key": "quality",
                "kind": "scale",
                "title": gettext_lazy("Overall quality"),
                "low_label": gettext_lazy("useless"),
                "high_label": gettext_lazy("excellent"),
                "required": True,
            },
        ),
    ),
    # The yes/no questions of InstructGPT (Ouyang et al. 2022, table 3), in our words.
    "flaws": Preset(
        gettext_lazy("What is wrong with it"),
        gettext_lazy("Checkboxes for each output, after those of InstructGPT."),
        (
            {
                "key": "flaws",
                "kind": "checks",
                "title": gettext_lazy("What is wrong with it"),
                "options": [
                    gettext_lazy("does not do what was asked"),
                    gettext_lazy("breaks a stated constraint"),
                    gettext_lazy("states something made up"),
                    gettext_lazy("not fit for an assistant"),
                    gettext_lazy("sexual content"),
                    gettext_lazy("violent content"),
                    gettext_lazy("encourages or does not discourage harm"),
                    gettext_lazy("demeans a protected group"),
                    gettext_lazy("gives harmful advice"),
                    gettext_lazy("voices an opinion"),
                    gettext_lazy("passes a moral judgement"),
                ],
            },
        ),
    ),
    "remark": Preset(
        gettext_lazy("Remark on each output"),
        gettext_lazy("A line of text for each output."),
        ({"key": "remark", "kind": "text", "title": gettext_lazy("Remark")},),
    ),
    "better": Preset(
        gettext_lazy("A better version of an output"),
        gettext_lazy("Each output can be rewritten, beginning with its own text."),
        ({"key": "better", "kind": "rewrite", "title": gettext_lazy("How it should have been")},),
    ),
    "ideal": Preset(
        gettext_lazy("The ideal answer"),
        gettext_lazy("Once for each task: what would the ideal answer have been?"),
        (
            {
                "key": "ideal",
                "kind": "rewrite",
                "scope": TASK,
                "title": gettext_lazy("What would the ideal answer be?"),
            },
        ),
    ),
    "sure": Preset(
        gettext_lazy("How sure one is"),
        gettext_lazy("Once for each task, one of three."),
        (
            {
                "key": "sure",
                "kind": "choice",
                "scope": TASK,
                "title": gettext_lazy("How sure are you of your ranking?"),
                "options": [gettext_lazy("sure"), gettext_lazy("fairly sure"), gettext_lazy("it is nearly a guess")],
            },
        ),
    ),
}
