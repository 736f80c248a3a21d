"""What a row may say about its task beside prompt, outputs and rankings: who gets it and when, what is known about its order, a score; and columns that
mean nothing here, which are kept with the prompt.

Every column is optional. What cannot be read is told column by column, all of a row at once.
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from django.utils.translation import gettext as _

from labeling import questions
from labeling.constraints import ConstraintError, Constraints
from labeling.files import BadRow, check_storable, where_json_ends
from labeling.models import (
    GREATEST_PRIORITY,
    LEAST_PRIORITY,
    LONGEST_EXPLANATION,
    MOST_PEOPLE,
    Batch,
    GoldAnswer,
    Task,
)
from labeling.ranking import MAX_ITEMS

T = TypeVar("T")
YES, NO = {"1", "true", "yes", "ya"}, {"0", "false", "no", "tidak"}
LONGEST_ANSWER = GoldAnswer._meta.get_field("constraints").max_length
MOST_KEPT, LONGEST_NAME, LONGEST_KEPT = 50, 100, 1000  # columns of a row that are kept with its prompt; characters
KINDS = [kind for kind in Task.Kind.values if kind != Task.Kind.NORMAL]


@dataclass(frozen=True)
class Placing:
    """What a row says about where its task stands in the project's work, by names; None: nothing. labeling/importing/fitting.py finds what is named."""

    priority: int | None = None
    score: float | None = None
    overlap: int | None = None
    batch: str | None = None
    assignee: str | None = None  # a person's name
    group: str | None = None
    sensitive: bool | None = None

    @property
    def is_given(self) -> bool:
        return self != Placing()


@dataclass(frozen=True)
class KnownAnswer:
    """A task with a known answer: constraints in the letters of the row."""

    kind: str
    constraints: Constraints
    explanation: str = ""


@dataclass
class Problems:
    """All that is wrong with one row."""

    found: list[str] = field(default_factory=list)

    def attempt(self, read: Callable[..., T], *arguments: object, otherwise: T) -> T:
        """What `read` gives; if it finds the row bad, that is noted and `otherwise` stands for it."""
        try:
            return read(*arguments)
        except BadRow as error:
            self.found.append(str(error))
            return otherwise

    def end(self) -> None:
        if self.found:
            raise BadRow("; ".join(problem.removesuffix(".") for problem in self.found) + ".")


def placing_of(row: dict, problems: Problems) -> Placing:
    placing = Placing(
        priority=problems.attempt(_whole, row, "priority", LEAST_PRIORITY, GREATEST_PRIORITY, otherwise=None),
        score=problems.attempt(number_in, row, "score", otherwise=None),
        overlap=problems.attempt(_whole, row, "overlap", 1, MOST_PEOPLE, otherwise=None),
        batch=problems.attempt(_name, row, "batch", Batch._meta.get_field("name").max_length, otherwise=None),
        assignee=problems.attempt(_name, row, "assignee", 150, otherwise=None),
        group=problems.attempt(_name, row, "group", 150, otherwise=None),
        sensitive=problems.attempt(_yes_or_no, row, "sensitive", otherwise=None),
    )
    if placing.assignee and placing.group:
        problems.found.append(_("give “assignee” or “group”, not both."))
    return placing


def known_answer_of(row: dict, items: int, problems: Problems) -> KnownAnswer | None:
    """`kind`, `answer` and `explanation`; an answer without a kind makes a gold task."""
    kind, answer = row.get("kind"), row.get("answer")
    explanation = problems.attempt(text_in, row, "explanation", LONGEST_EXPLANATION, otherwise="")
    if kind in (None, "", Task.Kind.NORMAL) and answer is None:
        if explanation:
            problems.found.append(_("there is an “explanation”, but no “answer” to explain."))
        return None
    if kind is None:
        kind = Task.Kind.GOLD.value
    if kind not in KINDS:
        problems.found.append(_("“kind” must be one of: %(kinds)s.") % {"kinds": ", ".join(KINDS)})
        return None
    if answer is None:
        problems.found.append(
            _("a task of the kind “%(kind)s” needs an “answer” such as A > B, B >= C.") % {"kind": kind}
        )
        return None
    if not items >= 2:
        problems.found.append(_("there is an “answer”, but there are no completions."))
        return None
    constraints = problems.attempt(constraints_of, answer, items, otherwise=None)
    return KnownAnswer(kind, constraints, explanation) if constraints else None


def constraints_of(answer: object, items: int) -> Constraints:
    if not isinstance(answer, str):
        raise BadRow(_("“answer” must be a text such as A > B, B >= C."))
    if len(answer) > LONGEST_ANSWER:
        raise BadRow(_("“answer” has more than %(n)d characters.") % {"n": LONGEST_ANSWER})
    try:
        return Constraints.parse(answer, items)
    except ConstraintError as error:
        raise BadRow(
            _("answer “%(answer)s”: %(problem)s") % {"answer": answer, "problem": _(error.template) % error.params}
        ) from None


def answers_of(given: dict) -> dict:
    """What somebody answered to the project's questions, as it stands there: an object, or its JSON in a table."""
    answers = given.get("answers")
    if isinstance(answers, str) and answers.strip():
        try:
            answers = json.loads(answers)
        except (json.JSONDecodeError, RecursionError) as error:
            raise BadRow(_("“answers” is no JSON: %(error)s.") % {"error": where_json_ends(error)}) from None
    if answers in (None, ""):
        return {}
    if not isinstance(answers, dict):
        raise BadRow(_("“answers” must be an object with “task” and “outputs”."))
    check_storable(json.dumps(answers, ensure_ascii=False), "answers")
    return answers


def problems_with_answers(answers: dict, asked: list[questions.Question], items: int) -> list[str]:
    """Whether answers fit a project's questions. Required ones may be missing: whoever gave them was asked elsewhere."""
    optional = [replace(question, required=False) for question in asked]
    return [
        _("“answers”: %(problem)s") % {"problem": problem} for problem in questions.check(optional, answers, items)
    ]


# Columns of our own files that mean something: to an import, or in what a snapshot exports.
_OURS = frozenset(
    "prompt completions rankings ranking annotator answers comment seconds id task split"
    " priority score overlap batch assignee group sensitive kind answer explanation"
    " prompt_id unranked weight ranking_id repeat spare gold adjudicated chosen meta".split()
) | {f"{name}_{n}" for name in ("completion", "source") for n in range(1, MAX_ITEMS + 1)}


def meta_of(row: dict) -> tuple[dict[str, str | int | float | bool], list[str]]:
    """(what the row's other columns say about its prompt, the names of those that cannot be kept).

    Kept are texts, numbers, and true or false, of a bounded size; an object under `meta`, as a snapshot exports it, stands for columns.
    """
    others = {name: value for name, value in row.items() if name not in _OURS}
    exported = row.get("meta")
    if isinstance(exported, dict):
        others = exported | others
    elif exported is not None:
        others["meta"] = exported
    kept: dict[str, str | int | float | bool] = {}
    left = []
    for name, value in others.items():
        if value in (None, "", [], {}):
            continue
        if len(kept) < MOST_KEPT and _can_be_kept(name, value):
            kept[name] = value
        else:
            left.append(str(name)[:LONGEST_NAME])
    return kept, left


def _can_be_kept(name: object, value: object) -> bool:
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME:
        return False
    if not isinstance(value, str | int | float) or (isinstance(value, float) and not math.isfinite(value)):
        return False
    try:
        check_storable(name + str(value), name)
    except BadRow:
        return False
    return len(str(value)) <= LONGEST_KEPT


def seconds_of(given: dict) -> float | None:
    seconds = number_in(given, "seconds")
    if seconds is not None and seconds < 0:
        raise BadRow(_("“%(key)s” must be 0 or more.") % {"key": "seconds"})
    return seconds


def number_in(row: dict, key: str) -> float | None:
    given = row.get(key)
    if given is None or given == "":
        return None
    try:
        number = float(given) if isinstance(given, str | int | float) and not isinstance(given, bool) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise BadRow(_("“%(key)s” must be a number, not “%(given)s”.") % {"key": key, "given": given})
    return number


def _whole(row: dict, key: str, least: int, most: int) -> int | None:
    number = number_in(row, key)
    if number is None:
        return None
    if number != int(number) or not least <= number <= most:
        raise BadRow(
            _("“%(key)s” must be a whole number from %(least)d to %(most)d.")
            % {"key": key, "least": least, "most": most}
        )
    return int(number)


def text_in(row: dict, key: str, most: int | None = None) -> str:
    given = row.get(key)
    if given is None:
        return ""
    if not isinstance(given, str):
        raise BadRow(_("“%(key)s” must be a text.") % {"key": key})
    check_storable(given, key)
    text = given.strip()
    if most is not None and len(text) > most:
        raise BadRow(_("“%(key)s” has more than %(n)d characters.") % {"key": key, "n": most})
    return text


def _name(row: dict, key: str, most: int) -> str | None:
    given = row.get(key)
    if isinstance(given, int) and not isinstance(given, bool):  # batch 3
        given = str(given)
    return text_in({key: given}, key, most) or None


def _yes_or_no(row: dict, key: str) -> bool | None:
    given = row.get(key)
    if given is None or given == "":
        return None
    said = str(given).strip().lower()
    if said not in YES | NO:
        raise BadRow(_("“%(key)s” must be true or false.") % {"key": key})
    return said in YES
