"""Questions of review: which tasks are contested, flagged or asked about, what everybody said about one, and the talk about it."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations

from django.db.models import Case, Count, Exists, OuterRef, Q, QuerySet, When
from django.db.models.fields.json import KeyTransform

from labeling import places, questions, statements
from labeling.models import Adjudication, Assignment, Comment, Disagreement, Opinion, Project, Ranking, Task
from labeling.quality import MOST_SLICES, Quality
from labeling.queries import labels_behind
from labeling.ranking import LETTERS, WeakOrder
from labeling.statistics.consensus import Consensus, consensus
from labeling.statistics.contested import agreement_of
from labeling.task_queries import Fits, tasks_of
from models_registry.models import Head, Version
from people.models import User
from people.permissions import Right

State = Assignment.State


@dataclass(frozen=True)
class Wanted:
    """Which tasks to list. `show`: "" (contested and not decided yet), "shared" (all that several people ranked), "flagged", "asked", "decided", or
    "model": what the version with the key `model` finds unlikely, not decided yet; of these `learned` "no" or "yes" are those whose prompts it did not
    learn from, or did."""

    show: str = ""
    size: str = ""
    batch: str = ""
    slices: Mapping[str, str] = field(default_factory=dict)  # of the prompts' imports
    search: str = ""
    model: str = ""
    learned: str = ""


@dataclass(frozen=True)
class Contested:
    """A line of the list. `agreement`: mean τ-x, None where fewer than two people said something about the same pair. `against`: what the model says
    that the list is about."""

    task: Task
    agreement: float | None
    rankings: int
    flags: int
    questions: int  # open ones
    decided: bool
    against: Disagreement | None = None


def _found(project: Project, wanted: Wanted) -> QuerySet[Task]:
    # A question may be about any task, also one whose answer is known.
    kind = "" if wanted.show == "asked" else Task.Kind.NORMAL
    found = tasks_of(project, Fits(search=wanted.search, batch=wanted.batch, kind=kind))
    if wanted.size:
        found = found.filter(size=wanted.size)
    for name, value in wanted.slices.items():
        # An import's columns hold texts or numbers; the address holds texts.
        values: list[object] = [value] + ([int(value)] if value.lstrip("-").isdecimal() else [])
        values += [value == "True"] if value in ("True", "False") else []
        found = found.alias(part=KeyTransform(name, "prompt__meta"))  # a column may bear any name
        found = found.filter(Q(*(("part", each) for each in values), _connector=Q.OR))
    if wanted.show == "flagged":
        flagged = Assignment.objects.filter(task=OuterRef("pk"), state=State.FLAGGED)
        found = found.filter(Q(state=Task.State.REVIEW) | Exists(flagged))
    elif wanted.show == "shared":
        found = found.filter(submitted__gt=1)
    elif wanted.show == "asked":
        found = found.filter(Exists(open_questions().filter(task=OuterRef("pk"))))
    elif wanted.show in ("decided", "", "model"):
        decided = Exists(Adjudication.objects.filter(task=OuterRef("pk"), current=True))
        found = found.filter(decided) if wanted.show == "decided" else found.exclude(decided)
    return found


def in_order(project: Project, wanted: Wanted) -> list[int]:
    """The keys of the tasks that are wanted, those that people agree about least first; for a model, those that it finds least likely."""
    if wanted.show == "model":
        return list(_least_likely(project, wanted).values_list("task", flat=True))
    agreed = Quality(project)["tasks"]
    keys = list(_found(project, wanted).order_by("pk").values_list("pk", flat=True))
    if wanted.show == "":
        keys = [key for key in keys if agreed.get(str(key), 1.0) < project.contested_below]
    return sorted(keys, key=lambda key: (str(key) not in agreed, agreed.get(str(key), 0.0), key))


def opinions(project: Project) -> QuerySet[Opinion]:
    """What models were found to say against people, the newest first."""
    return project.opinions.filter(current=True).select_related("version__model").order_by("-created_at")


def places_to_review(version: Version, user: User) -> list[tuple[Project, Opinion | None]]:
    """The projects in which `user` may review what a reward model says against people, and what it was found to say; those whose rankings it learned
    from, and where it was asked."""
    if version.head != Head.REWARD:
        return []
    asked = Opinion.objects.filter(version=version, current=True).annotate(found=Count("tasks"))
    opinions_in = {each.project_id: each for each in asked}
    taught = set(labels_behind(version).exclude(project=None).values_list("project", flat=True))
    projects = places.projects_with(user, Right.REVIEW).filter(pk__in=taught | set(opinions_in)).order_by("name")
    return [(project, opinions_in.get(project.pk)) for project in projects]


def against(project: Project, model: str) -> QuerySet[Disagreement]:
    """What the version with this key says, task by task; nothing without a key."""
    found = Disagreement.objects.select_related("task", "opinion__version__model")
    return found.filter(opinion__project=project, opinion__current=True, opinion__version=model or None)


def _least_likely(project: Project, wanted: Wanted) -> QuerySet[Disagreement]:
    """What the model has not learned from stands first, what it has last: of that it is seldom surprised, and little follows."""
    found = against(project, wanted.model).filter(task__in=_found(project, wanted))
    if wanted.learned:
        found = found.filter(learned=wanted.learned == "yes")
    place = Case(When(learned=False, then=0), When(learned=None, then=1), default=2)
    return found.order_by(place, "-surprise", "task")


def lines(project: Project, keys: list[int], model: str = "") -> list[Contested]:
    """The lines of these tasks, in this order; with what a model says against people, if asked for."""
    found = {each.task_id: each for each in against(project, model).filter(task__in=keys)}
    agreed = Quality(project)["tasks"]
    tasks = project.tasks.select_related("prompt", "batch").in_bulk(keys)
    flags = _counted(Assignment.objects.filter(task__in=keys, state=State.FLAGGED))
    questions = _counted(open_questions().filter(task__in=keys))
    decided = set(Adjudication.objects.filter(task__in=keys, current=True).values_list("task", flat=True))
    return [
        Contested(
            task=tasks[key],
            agreement=agreed.get(str(key)),
            rankings=tasks[key].submitted,
            flags=flags.get(key, 0),
            questions=questions.get(key, 0),
            decided=key in decided,
            against=found.get(key),
        )
        for key in keys
        if key in tasks
    ]


def _counted(rows: QuerySet) -> dict[int, int]:
    return dict(rows.order_by().values_list("task").annotate(n=Count("pk")))


def counts(project: Project) -> dict[str, int]:
    """How many tasks wait for a reviewer, by `Wanted.show` ("contested" for "")."""
    return {
        show or "contested": _found(project, Wanted(show)).count() if show else len(in_order(project, Wanted()))
        for show in ("", "flagged", "asked", "decided")
    }


def slices(project: Project) -> dict[str, list[str]]:
    """The names and values by which prompts can be told apart, as their import gave them."""
    found: dict[str, set[str]] = defaultdict(set)
    for meta in project.prompts.exclude(meta={}).values_list("meta", flat=True):
        for name, value in meta.items():
            if isinstance(value, str | int) and len(found[name]) <= MOST_SLICES:
                found[name].add(str(value))
    return {name: sorted(values) for name, values in found.items() if 2 <= len(values) <= MOST_SLICES}


# One task


@dataclass(frozen=True)
class Said:
    """One person's current ranking of a task. `places`: the place of each output, canonical, "" where they say nothing.

    `about_outputs` (by letter) and `about_task`: what the project's questions got, as (title, answer).
    """

    ranking: Ranking
    turn: Assignment
    order: WeakOrder
    places: list[str]
    name: str  # without the project, where an import made it
    answers: dict  # by letters and the keys of questions
    about_outputs: dict[str, list[tuple[str, str]]]
    about_task: list[tuple[str, str]]


@dataclass(frozen=True)
class Cell:
    """How many say that the output of the row is better than that of the column, tied with it, worse."""

    better: int
    tied: int
    worse: int
    contested: bool

    @property
    def any(self) -> bool:
        return bool(self.better or self.tied or self.worse)


@dataclass(frozen=True)
class Review:
    """All there is to decide about a task. `votes` is None where nobody has ranked it."""

    said: list[Said]
    repeats: list[Said]
    agreement: float | None
    consensus: Consensus | None
    votes: list[tuple[str, list[Cell | None]]]
    contested: list[str]  # "B, D": pairs of letters
    between: list[tuple[str, str, float | None]]  # two people and their τ-x
    apart: list[bool]  # by output: do people put it into different places?


def review_of(task: Task) -> Review:
    rankings = (
        Ranking.objects.filter(
            assignment__task=task, current=True, assignment__state__in=[State.SUBMITTED, State.SPARE]
        )
        .select_related("assignment__annotator")
        .order_by("assignment__repeat", "pk")
    )
    asked, completions = questions.read(task.project.questions), statements.completions(task.pk)
    everything = [_said(ranking, task, asked, completions) for ranking in rankings]
    said = [each for each in everything if not each.turn.repeat]
    orders = [each.order for each in said]
    found = consensus(orders) if orders else None
    return Review(
        said=said,
        repeats=[each for each in everything if each.turn.repeat],
        agreement=agreement_of(orders),
        consensus=found,
        votes=_votes(found) if found else [],
        contested=[f"{LETTERS[a]}, {LETTERS[b]}" for a, b in found.contested] if found else [],
        between=[(one.name, other.name, one.order.tau_x(other.order)) for one, other in combinations(said, 2)],
        apart=[len({each.places[item] for each in said} - {""}) > 1 for item in range(task.size)],
    )


def _said(ranking: Ranking, task: Task, asked: list[questions.Question], completions: list[int]) -> Said:
    order = WeakOrder.parse(ranking.notation, items=task.size)
    ranks = order.ranks()
    answers = questions.to_letters(ranking.answers, completions)
    return Said(
        ranking,
        ranking.assignment,
        order,
        ["" if rank is None else str(rank) for rank in ranks],
        task.project.name_of(ranking.assignment.annotator),
        answers,
        {letter: questions.in_words(asked, values) for letter, values in answers.get("outputs", {}).items()},
        questions.in_words(asked, answers.get("task", {})),
    )


def _votes(found: Consensus) -> list[tuple[str, list[Cell | None]]]:
    votes, contested = found.votes, set(found.contested)
    return [
        (
            LETTERS[a],
            [
                None
                if a == b
                else Cell(
                    int(votes.better[a][b]),
                    int(votes.tied[a][b]),
                    int(votes.better[b][a]),
                    (min(a, b), max(a, b)) in contested,
                )
                for b in range(votes.items)
            ],
        )
        for a in range(votes.items)
    ]


# The talk


@dataclass(frozen=True)
class Thread:
    """A question with its answers, or a remark. `letters`: of the asker's board, e.g. "A → C": their A is our C; those alone that differ."""

    comment: Comment
    answers: list[Comment]
    letters: str = ""


def open_questions(project: Project | None = None) -> QuerySet[Comment]:
    """Those that wait for an answer, everywhere or in a project."""
    found = Comment.objects.filter(is_question=True, resolved_at=None)
    return found.filter(task__project=project) if project else found


def talk(task: Task) -> list[Thread]:
    """All that was said about a task, for reviewers."""
    comments = list(task.comments.select_related("author", "resolved_by"))
    displays = dict(task.assignments.filter(repeat=0).values_list("annotator", "display"))
    return [
        Thread(
            comment,
            [each for each in comments if each.answers_id == comment.pk],
            _letters(displays.get(comment.author_id, [])) if comment.is_question else "",
        )
        for comment in comments
        if comment.answers_id is None
    ]


def own_talk(user: User, task: Task) -> list[Thread]:
    """What somebody asked about a task, and what they were answered. Nothing of what others said about it."""
    asked = list(task.comments.filter(author=user, is_question=True))
    answers = list(Comment.objects.filter(answers__in=asked).select_related("author").order_by("created_at", "pk"))
    return [Thread(each, [one for one in answers if one.answers_id == each.pk]) for each in asked]


def _letters(display: list[int]) -> str:
    moved = [(shown, position) for shown, position in enumerate(display) if shown != position]
    return ", ".join(f"{LETTERS[shown]} → {LETTERS[position]}" for shown, position in moved)
