"""Questions of the pages of projects and data sets: lists, what comes next, pace, what waits for somebody, what a snapshot would hold."""

from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta
from math import ceil

from django.db.models import Count, Exists, Max, Min, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce, TruncDate
from django.utils import timezone

from jobs.models import Job
from jobs.queries import latest
from labeling import places, queries
from labeling.datasets import snapshot
from labeling.known_queries import GoldHealth, gold_health
from labeling.models import Assignment, Dataset, Desk, Project, Split, Task
from labeling.review_queries import open_questions
from people.models import AuditEntry, User
from people.permissions import Right, can
from people.searching import midnight

State = Assignment.State
RANKED = (State.SUBMITTED, State.SPARE)


def project_list(user: User, *, search: str = "", state: str = "") -> QuerySet[Project]:
    """Every project that `user` may see with `ranked` of `wanted` rankings, `annotators` and `last_activity`."""
    found = places.projects_with(user, Right.SEE_PROJECTS)
    if search:
        found = found.filter(Q(name__icontains=search) | Q(description__icontains=search))
    found = found.filter(state=state) if state else found.exclude(state=Project.State.ARCHIVED)
    tasks = Task.objects.filter(project=OuterRef("pk")).order_by().values("project")
    turns = (
        Assignment.objects.filter(project=OuterRef("pk"), state__in=RANKED, aside=False).order_by().values("project")
    )
    return found.annotate(
        ranked=Coalesce(Subquery(tasks.annotate(n=Sum("submitted")).values("n")), 0),
        wanted=Coalesce(Subquery(tasks.annotate(n=Sum(queries.WANTED)).values("n")), 0),
        annotators=Coalesce(Subquery(turns.annotate(n=Count("annotator", distinct=True)).values("n")), 0),
        last_activity=Subquery(turns.annotate(n=Max("finished_at")).values("n")),
    )


# Progress


@dataclass(frozen=True)
class Throughput:
    """Rankings a day over the last days, oldest first, and what they promise."""

    days: list[tuple[date, int]]
    week: int  # rankings of the last seven days
    people: int  # who gave them
    days_left: int | None  # at the pace of the last week; None if nothing is left, nothing moves, or it began today

    @property
    def any(self) -> bool:
        return any(count for _, count in self.days)


def throughput(project: Project, *, wanted: int, ranked: int, days: int = 28) -> Throughput:
    """From rankings made here that count; imported ones say nothing about pace."""
    today = timezone.localdate()
    first = today - timedelta(days=days - 1)
    made = project.assignments.filter(state__in=RANKED, imported=False, aside=False, finished_at__gte=midnight(first))
    counts = dict(made.annotate(day=TruncDate("finished_at")).order_by().values_list("day").annotate(n=Count("pk")))
    series = [(day, counts.get(day, 0)) for day in (first + timedelta(days=n) for n in range(days))]
    week_ago = timezone.now() - timedelta(days=7)
    recent = made.filter(finished_at__gte=week_ago).aggregate(
        rankings=Count("pk"),
        people=Count("annotator", distinct=True),
        counted=Count("pk", filter=Q(state=State.SUBMITTED)),
        first=Min("finished_at"),
    )
    left = wanted - ranked
    days_left = None
    if left > 0 and recent["counted"]:
        # A project that began on Tuesday has not been idle since last week; and less than a day says nothing.
        so_far = (timezone.now() - recent["first"]) / timedelta(days=1)
        if so_far >= 1:
            days_left = ceil(left * so_far / recent["counted"])
    return Throughput(series, recent["rankings"], recent["people"], days_left)


@dataclass(frozen=True)
class Attention:
    """What waits for those who run a project, in numbers; 0: nothing."""

    questions: int  # from the board, without an answer yet
    flagged: int  # tasks closed for review
    paused: int  # people who have a pause because of gold tasks or the qualification
    on_the_way: int  # people who practise or qualify
    gold: GoldHealth | None

    @property
    def any(self) -> bool:
        return bool(self.questions or self.flagged or self.paused or (self.gold and self.gold.is_low))


def attention(project: Project) -> Attention:
    on_the_way = [Desk.Stage.PRACTICE, Desk.Stage.QUALIFICATION]
    desks = project.desks.aggregate(
        paused=Count("pk", filter=Q(paused_because__in=[Desk.Pause.GOLD, Desk.Pause.QUALIFICATION])),
        on_the_way=Count("pk", filter=Q(stage__in=on_the_way, paused_because="")),
    )
    return Attention(
        questions=open_questions(project).count(),
        flagged=project.tasks.filter(state=Task.State.REVIEW).count(),
        gold=gold_health(project),
        **desks,
    )


def recent_job(project: Project, what: str) -> Job | None:
    """The newest job of this kind if it is under way, or ended so recently that people want to know how."""
    job = latest(queries.subject_of(project), what)
    if job and (job.is_active or timezone.now() - job.created_at < timedelta(hours=24)):
        return job
    return None


def changes_under_way(project: Project) -> QuerySet[Job]:
    """Changes of many tasks and of the queue's order that are not over, and those that failed within a day."""
    return _under_way(project, "change-tasks", "tidy-tasks", "order-queue", "score-tasks")


def opinions_under_way(project: Project) -> QuerySet[Job]:
    """The same of models that are asked what they say against people."""
    return _under_way(project, "ask-opinion")


def _under_way(project: Project, *what: str) -> QuerySet[Job]:
    wanted = Job.objects.filter(subject=queries.subject_of(project), what__in=what)
    a_day_ago = timezone.now() - timedelta(days=1)
    failed = Q(state=Job.State.FAILED, finished_at__gte=a_day_ago)
    return wanted.filter(Q(state__in=[Job.State.WAITING, Job.State.RUNNING]) | failed)


# What comes next


@dataclass(frozen=True)
class Step:
    """One step on the way from prompts to a better model. `current`: what to do now."""

    name: str  # import, sample, invite, rank, freeze, train
    done: bool
    current: bool


def steps(project: Project, counts: dict[str, int], newest: Dataset | None, *, trained: bool) -> list[Step]:
    """The way of a project: the first step that is not done is the current one; when all are, more rankings are never wrong.

    `counts` come from queries.project_counts, `newest` is its newest snapshot, and `trained` says whether a run has used it.
    """
    enough = counts["tasks"] > 0 and counts["rankings"] >= counts["wanted"]
    frozen = newest is not None and not lacks(newest, project)
    done = {
        "import": counts["prompts"] > 0,
        "sample": counts["tasks"] > 0,
        "invite": project.open_to_all or project.memberships.exists() or counts["rankings"] > 0,
        "rank": enough,
        "freeze": frozen,
        "train": frozen and trained,
    }
    current = next((name for name, is_done in done.items() if not is_done), None)
    return [Step(name, is_done, name == current) for name, is_done in done.items()]


def lacks(newest: Dataset, project: Project) -> bool:
    """Would a snapshot with the same options hold more than this one? What neither would hold (gold tasks, repeats) makes it no older."""
    options = snapshot.Options(**newest.manifest.get("options", {}))
    held = newest.rankings.through.objects.filter(dataset=newest, ranking=OuterRef("pk"))
    if snapshot.rankings(project, options).exclude(Exists(held)).exists():
        return True
    decided = newest.adjudications.through.objects.filter(dataset=newest, adjudication=OuterRef("pk"))
    return snapshot.adjudications(project, options).exclude(Exists(decided)).exists()


# Data sets


def dataset_list(user: User, *, search: str = "", kind: str = "", origin: str = "") -> QuerySet[Dataset]:
    """What `user` may see, newest first: all, or the snapshots of projects in which they have more than the board. `origin`: "upload" or "project"; `search` looks at names, projects and the beginning of the hash."""
    found = Dataset.objects.select_related("project", "created_by")
    if not can(user, Right.SEE_DATA):
        found = found.filter(project__in=places.projects_with(user, Right.SEE_DATA))
    if kind:
        found = found.filter(kind=kind)
    if origin:
        found = found.filter(project__isnull=origin == "upload")
    for word in search.split():
        found = found.filter(
            Q(name__icontains=word) | Q(project__name__icontains=word) | Q(digest__startswith=word.lower())
        )
    return found


def uploaded_as(dataset: Dataset) -> str:
    """The name of the file it came from; "" for a snapshot."""
    entry = AuditEntry.objects.filter(
        object_type=dataset._meta.label, object_id=str(dataset.pk), verb="dataset.upload"
    ).first()
    return entry.data.get("file", "") if entry else ""


def snapshot_counts(project: Project, options: snapshot.Options) -> dict[str, int]:
    """What a snapshot frozen now would hold: rankings, those with ties, people, tasks, and rankings by split; what reviewers decided counts as rankings,
    and as `adjudicated`."""
    ranked = snapshot.rankings(project, options).values_list(
        "notation", "assignment__annotator", "assignment__task", "assignment__task__prompt__split"
    )
    decided = snapshot.adjudications(project, options).values_list("notation", "by", "task", "task__prompt__split")
    rows = [*ranked, *decided]
    splits = Counter(split for *_row, split in rows)
    return {
        "rankings": len(rows),
        "with_ties": sum("=" in notation for notation, *_row in rows),
        "people": len({person for _notation, person, *_row in rows}),
        "tasks": len({task for _notation, _person, task, _split in rows}),
        "train": splits[Split.TRAIN],
        "heldout": splits[Split.HELDOUT],
        "adjudicated": len(decided),
    }
