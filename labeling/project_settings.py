"""The settings of a project, each described once: what it is called, what it does, and from when a change holds. Forms, REST and refusals read this."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import FloatField, IntegerField
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from labeling import questions
from labeling.models import Project, Ranking

AT_ONCE = gettext_lazy("at once")
NEW_TASKS = gettext_lazy("for new tasks")
NEW_PROMPTS = gettext_lazy("for new prompts")
NEXT_ORDER = gettext_lazy("when the queue is put in order next")
NEW_RANKINGS = gettext_lazy("for tasks whose rankings come in from now on")


@dataclass(frozen=True)
class Setting:
    """`label` and `hint` are for people; `holds`: for what a change counts."""

    label: Any
    hint: Any = ""
    holds: Any = AT_ONCE


SETTINGS: dict[str, Setting] = {
    "name": Setting(gettext_lazy("Name")),
    "description": Setting(
        gettext_lazy("What it is for"), gettext_lazy("One or two sentences, shown in the list of projects.")
    ),
    "guidelines": Setting(
        gettext_lazy("Guidelines for annotators"),
        gettext_lazy(
            "In Markdown; annotators open them with a key while they rank. Say what makes an output better, and when two are equal."
        ),
    ),
    "state": Setting(gettext_lazy("State"), gettext_lazy("open, paused or archived")),
    "outputs_per_task": Setting(
        gettext_lazy("Outputs per task"),
        gettext_lazy("From 2 to 9. Four is a good start: one ranking of four says as much as six comparisons of two."),
        NEW_TASKS,
    ),
    "overlap": Setting(
        gettext_lazy("People per task"),
        gettext_lazy(
            "How many people rank the same task. With two or more you can see how far they agree, and how well a model could do at best."
        ),
        NEW_TASKS,
    ),
    "overlap_max": Setting(
        gettext_lazy("People per task at most"),
        gettext_lazy(
            "A task about which people disagree goes on to one more person, up to so many. Left empty, every task stops at its number of people."
        ),
        NEW_RANKINGS,
    ),
    "contested_below": Setting(
        gettext_lazy("Disagreement begins below"),
        gettext_lazy(
            "Agreement of a task's rankings: 1 is all alike, 0 as if by chance, -1 the very opposite. Below this the task counts as contested."
        ),
        NEW_RANKINGS,
    ),
    "heldout_percent": Setting(
        gettext_lazy("Held-out prompts, in percent"),
        gettext_lazy(
            "This share of the prompts is never trained on, so that models can be judged on it. Which prompts depends on their text alone."
        ),
        NEW_PROMPTS,
    ),
    "lease_seconds": Setting(
        gettext_lazy("Seconds a task is kept for one person"),
        gettext_lazy(
            "Counted from their last activity; then the task is offered to others. A ranking that comes later is kept all the same."
        ),
    ),
    "allow_partial": Setting(
        gettext_lazy("A ranking may leave outputs out"),
        gettext_lazy("“The best two of nine” then counts as an answer. Nothing is assumed about what is left out."),
    ),
    "acceptability_line": Setting(
        gettext_lazy("Ask where “good enough” ends"),
        gettext_lazy("Annotators may draw a line: outputs above it are good enough, those below are not."),
    ),
    "questions": Setting(
        gettext_lazy("Questions beside the ranking"),
        gettext_lazy("What is asked about each output or each task. Answers given before a change stay."),
    ),
    "open_to_all": Setting(
        gettext_lazy("Everyone who can sign in may rank"), gettext_lazy("Otherwise only the people you add to the project.")
    ),
    "content_warning": Setting(
        gettext_lazy("Content warning"),
        gettext_lazy(
            "Shown before the first task. People accept it, and may choose to get no task that is marked as sensitive. Left empty, nobody is warned."
        ),
    ),
    "daily_goal": Setting(
        gettext_lazy("Rankings a day for each person"),
        gettext_lazy("Shown at the desk as a goal; nobody is stopped. A person may have a goal of their own."),
    ),
    "shows_agreement": Setting(
        gettext_lazy("Show annotators how far they agree with others"),
        gettext_lazy("It helps people who are unsure, and may pull everyone towards the majority."),
    ),
    "gold_percent": Setting(
        gettext_lazy("Gold tasks, in percent"),
        gettext_lazy(
            "Of the tasks that somebody gets, so many have a known answer. Nobody can tell which. It needs tasks marked as gold."
        ),
    ),
    "gold_minimum": Setting(
        gettext_lazy("Share of gold answers kept, at least"),
        gettext_lazy("Who keeps less in their last gold tasks gets a pause and is told kindly. From 0 to 1; 0 pauses nobody."),
    ),
    "qualification_minimum": Setting(
        gettext_lazy("Share kept in the qualification, at least"),
        gettext_lazy("Who keeps less does not begin with the real tasks. From 0 to 1. It needs tasks marked as qualification."),
    ),
    "repeat_percent": Setting(
        gettext_lazy("Repeated tasks, in percent"),
        gettext_lazy("Of the tasks that somebody gets, so many are ones they have ranked before: how far do people agree with themselves?"),
    ),
    "random_percent": Setting(
        gettext_lazy("Random share of the queue, in percent"),
        gettext_lazy(
            "Where tasks with high scores come first, this share is still drawn at random, so that figures from them are honest. Exports mark it."
        ),
        NEXT_ORDER,
    ),
}  # fmt: skip


def bounds(name: str) -> dict[str, float]:
    """The least and the greatest value of a number, as its model field says: {"min", "max"}."""
    validators = Project._meta.get_field(name).validators
    return {
        validator.code.removesuffix("_value"): validator.limit_value
        for validator in validators
        if validator.code in {"min_value", "max_value"}
    }


NUMBERS = [name for name in SETTINGS if isinstance(Project._meta.get_field(name), IntegerField | FloatField)]


def _number(value: object) -> object:
    """An empty field of a form or a table is no number; what is neither finite nor a number is left to the field to refuse, as a text."""
    if value == "":
        return None
    if isinstance(value, list | dict) or str(value).strip().lower().lstrip("+-") in ("inf", "infinity", "nan"):
        return f"“{value}”"
    return value


def problems_with(project: Project) -> list[str]:
    """All that is wrong with a project's settings, each named as people know it. Cleans their types on the way."""
    problems = []
    for name in NUMBERS:
        setattr(project, name, _number(getattr(project, name)))
    try:
        kept_by_the_queue = {field.name for field in Project._meta.fields} - SETTINGS.keys()
        project.full_clean(exclude=kept_by_the_queue, validate_unique=False, validate_constraints=False)
    except ValidationError as error:
        for name, found in error.message_dict.items():
            label = SETTINGS[name].label if name in SETTINGS else name
            problems += [f"{label}: {problem}" for problem in found]
        broken = set(error.message_dict)
    else:
        broken = set()
    if not broken & {"overlap", "overlap_max"} and project.overlap_max is not None:
        if project.overlap_max < project.overlap:
            problems.append(
                _("%(most)s: it must be %(least)d or more, the number of people per task.")
                % {"most": SETTINGS["overlap_max"].label, "least": project.overlap}
            )
        elif project.overlap == 1 and project.overlap_max > 1:
            problems.append(
                _("%(most)s: with one person per task nobody can disagree; let at least two people rank each task.")
                % {"most": SETTINGS["overlap_max"].label}
            )
    if not broken & {"gold_percent", "repeat_percent"} and project.gold_percent + project.repeat_percent > 80:
        problems.append(
            _(
                "Gold tasks and repeated tasks together are %(percent)d percent; at least a fifth of the tasks must be new."
            )
            % {"percent": project.gold_percent + project.repeat_percent}
        )
    return problems + questions.problems_with(project.questions)


# Questions that people have answered


def answered(project: Project) -> Counter[str]:
    """How many rankings, old revisions too, hold an answer to each question, by key."""
    found: Counter[str] = Counter()
    with_answers = Ranking.objects.filter(assignment__project=project).exclude(answers={})
    for answers in with_answers.values_list("answers", flat=True).iterator():
        parts = [answers.get("task", {}), *answers.get("outputs", {}).values()]
        found.update({key for part in parts for key in part})
    return found


def asks_otherwise(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether an answer to the one question would be no answer to the other."""
    default = {"scope": questions.OUTPUT, "low": 1, "high": 7}
    names = ["kind", "scope", *(["low", "high"] if after.get("kind") == "scale" else [])]
    return any(before.get(name, default.get(name)) != after.get(name, default.get(name)) for name in names)


def problems_with_new_questions(project: Project, before: list[dict]) -> list[str]:
    """A question that was answered keeps its kind, scope and scale: under one key, all answers mean the same."""
    old = {question["key"]: question for question in before}
    changed = [each for each in project.questions if each["key"] in old and asks_otherwise(old[each["key"]], each)]
    counts = answered(project) if changed else Counter()
    return [
        _(
            "“%(title)s” has answers already, so it cannot ask in another way; give the changed question another key than “%(key)s”."
        )
        % {"title": each["title"], "key": each["key"]}
        for each in changed
        if counts[each["key"]]
    ]
