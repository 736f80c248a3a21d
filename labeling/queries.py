"""Questions about projects, tasks and rankings. Nothing here changes anything."""

from collections.abc import Iterable
from itertools import chain
from statistics import fmean
from typing import TypedDict

from django.db.models import Case, Count, Exists, F, OuterRef, Q, QuerySet, Sum, When
from django.utils import timezone

from labeling import questions, statements
from labeling.lanes import cursor_key, lanes_for
from labeling.models import Assignment, Batch, Dataset, Desk, Membership, Project, Ranking, Task
from labeling.places import place_name
from labeling.ranking import LETTERS, WeakOrder
from models_registry.models import Version
from models_registry.queries import lines_of
from people.models import Role, User
from people.permissions import Right, can

ROUNDED = (0, 10, 20, 50, 100)
COMPARED, COMPARED_AT_LEAST = 50, 5  # own rankings that are held against those of others
COUNT_AHEAD = 100  # tasks ahead of a person are counted up to here: a desk must not grow slower with its project


class Output(TypedDict):
    letter: str
    text: str


class Progress(TypedDict):
    today: int
    done: int
    available: int
    rounded: bool  # `available` is rounded up: where gold tasks are mixed in, an exact count would tell them


class Standing(TypedDict):
    """Where somebody stands in a project: what the board says beside a task, or instead of one."""

    stage: str  # "practice", "qualification" or "working"
    paused: str  # "" or a Desk.Pause: they get no tasks
    goal: int | None  # rankings a day
    agreement: float | None  # with others, -1 to 1, where the project shows it and there is enough to say
    warning: str  # what the project warns about, if they have not answered yet whether they take sensitive tasks
    takes_sensitive: bool


class Options(TypedDict):
    partial: bool
    line: bool


class BoardState(Standing):
    """All that the board may know: letters, never who wrote what. A gold task and a repeat look like any other."""

    assignment: str
    project: str
    prompt: str | list
    outputs: list[Output]
    progress: Progress
    options: Options
    ranking: str
    comment: str
    answers: dict
    lease_until: str
    questions: list
    round: str
    sensitive: bool


# Who may take part


def memberships_of(user: User) -> QuerySet[Membership]:
    return Membership.objects.filter(user=user)


def may_take(user: User, project: Project, *, member: bool) -> bool:
    """May `user`, who is a `member` or not, be given tasks of `project` now?"""
    return project.state == Project.State.OPEN and takes_part(user, project, member=member)


def takes_part(user: User, project: Project, *, member: bool) -> bool:
    """Is `project`, whatever its state, one in which `user` ranks?"""
    return can(user, Right.RANK) and (member or project.open_to_all or can(user, Right.MANAGE_PROJECTS))


def belongs(user: User, project: Project) -> bool:
    """`takes_part`, looked up."""
    return takes_part(user, project, member=memberships_of(user).filter(project=project).exists())


def is_on_the_way(desk: Desk, project: Project) -> bool:
    """Do practice and qualification come before the real tasks? Who has worked before there were any is past them."""
    if desk.stage == Desk.Stage.NEW:
        return not desk.done and bool({Task.Kind.PRACTICE, Task.Kind.QUALIFICATION} & set(project.known_kinds))
    return desk.stage != Desk.Stage.WORKING


def may_take_from(user: User, desk: Desk, project: Project, lane: str) -> bool:
    """Do tasks of this lane come to `user`?"""
    return any(lane in together for together in lanes_for(user.pk, desk, project))


def admins_of(project: Project) -> QuerySet[User]:
    """Who administers a project, and the site."""
    of_the_project = Membership.objects.filter(project=project, user=OuterRef("pk"), role=Role.ADMIN)
    return User.objects.filter(Q(role=Role.ADMIN) | Exists(of_the_project), is_active=True, is_simulated=False)


def projects_to_rank(user: User) -> QuerySet[Project]:
    """The open projects in which `user` may rank."""
    if not can(user, Right.RANK):
        return Project.objects.none()
    projects = Project.objects.filter(state=Project.State.OPEN)
    if can(user, Right.MANAGE_PROJECTS):
        return projects
    return projects.filter(Q(open_to_all=True) | Exists(memberships_of(user).filter(project=OuterRef("pk"))))


def may_rank(user: User, project: Project) -> bool:
    return may_take(user, project, member=memberships_of(user).filter(project=project).exists())


def may_rank_task(user: User, task: Task) -> bool:
    """May `user` take this very task now, or go on with it?"""
    mine = task.assignments.filter(annotator=user, repeat=0).first()
    if mine and mine.state == Assignment.State.CLAIMED:
        return may_rank(user, task.project)
    if task.state != Task.State.OPEN or not task.free_slots or (mine and mine.state != Assignment.State.EXPIRED):
        return False
    desk = _desk(user.pk, task.project)
    is_ready = not desk.paused_because and not is_on_the_way(desk, task.project)
    return is_ready and may_take_from(user, desk, task.project, task.lane) and may_rank(user, task.project)


def subject_of(project: Project) -> str:
    """By this the jobs about a project are found."""
    return place_name(project.pk)


# A person's turn


def board_state(assignment: Assignment, desk: Desk | None = None) -> BoardState:
    """What the board shows for a claimed assignment; `desk`: the person's, if the caller has just read or saved it.

    `ranking` is what the person said before, in the board's letters, if the task was called back ("" if not). `available` counts the tasks
    ahead of them, up to COUNT_AHEAD.
    """
    project, task, annotator = assignment.project, assignment.task, assignment.annotator_id
    texts = statements.texts(task.pk)
    before = assignment.rankings.order_by("-revision").first() if assignment.revisions else None
    desk = desk or _desk(annotator, project)
    stages = (Task.Kind.PRACTICE, Task.Kind.QUALIFICATION)
    return {
        "assignment": str(assignment.pk),
        "project": project.slug,
        "prompt": task.prompt.content,
        "outputs": [{"letter": LETTERS[i], "text": texts[position]} for i, position in enumerate(assignment.display)],
        "progress": _progress(desk, annotator, project),
        "options": {"partial": project.allow_partial, "line": project.acceptability_line},
        "ranking": as_shown(assignment, before) if before else "",
        "comment": before.comment if before else "",
        "answers": answers_as_shown(assignment, before) if before and before.answers else {},
        "lease_until": assignment.lease_until.isoformat() if assignment.lease_until else "",
        "questions": project.questions,
        "round": _round(assignment),
        "sensitive": task.sensitive,
        **_standing(desk, annotator, project),
        "stage": task.kind if task.kind in stages else Desk.Stage.WORKING,
    }


def _round(assignment: Assignment) -> str:
    """The batch that the person works in. A turn aside is told to be of the one they were in before, as the next one would be."""
    batch = assignment.task.batch_id
    if assignment.aside and assignment.task.kind in (Task.Kind.NORMAL, Task.Kind.GOLD):
        last = Assignment.objects.filter(
            annotator=assignment.annotator_id, project=assignment.project_id, aside=False, finished_at__isnull=False
        ).order_by("-finished_at")
        batch = last.values_list("task__batch", flat=True).first()
    return Batch.objects.values_list("name", flat=True).get(pk=batch) if batch else ""


def as_shown(assignment: Assignment, ranking: Ranking) -> str:
    """A stored ranking in the letters of the board that its assignment showed."""
    display = assignment.display
    letter_of = [display.index(position) for position in range(len(display))]
    return str(WeakOrder.parse(ranking.notation, items=len(display)).relabel(letter_of))


def answers_as_shown(assignment: Assignment, ranking: Ranking) -> dict:
    """Stored answers by the letters of the board."""
    completions = statements.completions(assignment.task_id)
    return questions.to_letters(ranking.answers, [completions[position] for position in assignment.display])


def progress(annotator_id: int, project: Project) -> Progress:
    return _progress(_desk(annotator_id, project), annotator_id, project)


def standing(annotator_id: int, project: Project) -> Standing:
    return _standing(_desk(annotator_id, project), annotator_id, project)


def _desk(annotator_id: int, project: Project) -> Desk:
    return statements.desk(annotator_id, project.pk, lock=False) or Desk()


def _progress(desk: Desk, annotator_id: int, project: Project) -> Progress:
    available = 0
    for lane in () if desk.paused_because else chain.from_iterable(lanes_for(annotator_id, desk, project)):
        for priority in project.priorities:
            behind = desk.cursors.get(cursor_key(lane, priority), 0)
            available += statements.waiting(project.pk, annotator_id, lane, priority, behind, COUNT_AHEAD - available)
    rounded = bool(project.repeat_percent or (project.gold_percent and Task.Kind.GOLD in project.known_kinds))
    return {
        "today": desk.done_that_day if desk.day == timezone.localdate() else 0,
        "done": desk.done,
        "available": next(step for step in ROUNDED if available <= step) if rounded else available,
        "rounded": rounded,
    }


def _standing(desk: Desk, annotator_id: int, project: Project) -> Standing:
    return {
        "stage": desk.stage if desk.stage in (Desk.Stage.PRACTICE, Desk.Stage.QUALIFICATION) else Desk.Stage.WORKING,
        "paused": desk.paused_because,
        "goal": desk.daily_goal or project.daily_goal,
        "agreement": agreement_with_others(annotator_id, project) if project.shows_agreement else None,
        "warning": project.content_warning if desk.warned_at is None else "",
        "takes_sensitive": desk.takes_sensitive,
    }


def way(assignment: Assignment) -> tuple[int, int]:
    """On the way to the real tasks: which of how many practice or qualification tasks this one is."""
    kind = assignment.task.kind
    turns = Assignment.objects.filter(
        project=assignment.project_id, annotator=assignment.annotator_id, task__kind=kind, repeat=assignment.repeat
    )
    done = turns.filter(finished_at__isnull=False).exclude(pk=assignment.pk).count()
    all_tasks = Task.objects.filter(project=assignment.project_id, kind=kind, state=Task.State.OPEN).count()
    return done + 1, max(all_tasks, done + 1)


def agreement_with_others(annotator_id: int, project: Project) -> float | None:
    """Mean tau-x between somebody's last rankings and those of others on the same tasks; None while there are too few."""
    current = Ranking.objects.filter(
        current=True,
        assignment__project=project,
        assignment__state=Assignment.State.SUBMITTED,
        assignment__aside=False,
        assignment__repeat=0,
    )
    mine = current.filter(assignment__annotator=annotator_id).order_by("-assignment__finished_at")
    own = dict(mine.values_list("assignment__task", "notation")[:COMPARED])
    others = current.filter(assignment__task__in=own).exclude(assignment__annotator=annotator_id)
    found = []
    for task, notation, size in others.values_list("assignment__task", "notation", "assignment__task__size"):
        agreed = WeakOrder.parse(own[task], items=size).tau_x(WeakOrder.parse(notation, items=size))
        if agreed is not None:
            found.append(agreed)
    return round(fmean(found), 2) if len(found) >= COMPARED_AT_LEAST else None


# A project's figures

# Rankings of a task that are wanted: nobody can give what a task that is closed for review lacks.
WANTED = Case(When(state=Task.State.REVIEW, then=F("submitted")), default=F("overlap"))


def project_counts(project: Project) -> dict[str, int]:
    """What a project's page says in figures. `wanted` is the number of rankings its overlap asks for, as far as anybody can give them; `offered` are
    the tasks without those closed for review. Tasks with a known answer and turns aside are no part of it.
    """
    normal = Q(kind=Task.Kind.NORMAL)
    tasks = project.tasks.aggregate(
        tasks=Count("pk", filter=normal),
        complete=Count("pk", filter=normal & Q(state=Task.State.COMPLETE)),
        review=Count("pk", filter=normal & Q(state=Task.State.REVIEW)),
        held=Count("pk", filter=normal & Q(state=Task.State.HELD)),
        offered=Count("pk", filter=normal & ~Q(state=Task.State.REVIEW)),
        wanted=Sum(WANTED, default=0),
        rankings=Sum("submitted", default=0),
    )
    turns = project.assignments.filter(aside=False).aggregate(
        claimed=Count("pk", filter=Q(state=Assignment.State.CLAIMED)),
        spare=Count("pk", filter=Q(state=Assignment.State.SPARE)),
        skipped=Count("pk", filter=Q(state=Assignment.State.SKIPPED)),
        flagged=Count("pk", filter=Q(state=Assignment.State.FLAGGED)),
        annotators=Count(
            "annotator", distinct=True, filter=Q(state__in=[Assignment.State.SUBMITTED, Assignment.State.SPARE])
        ),
    )
    return {"prompts": project.prompts.count(), **tasks, **turns}


# What a model learned from


def datasets_of(versions: Iterable[Version]) -> QuerySet[Dataset]:
    """What they were trained on, as their origins tell, which stay when a run is deleted."""
    return Dataset.objects.filter(digest__in={digest for version in versions for digest in _digests(version)})


def labels_behind(version: Version) -> QuerySet[Dataset]:
    """Which labels made this model? The snapshots of rankings anywhere up its line."""
    return datasets_of(lines_of([version])[version]).filter(kind=Dataset.Kind.RANKINGS)


def labels_behind_each(versions: Iterable[Version]) -> dict[Version, set[int]]:
    """The same of many versions, as keys of data sets."""
    lines = lines_of(versions)
    rankings = datasets_of(chain.from_iterable(lines.values())).filter(kind=Dataset.Kind.RANKINGS)
    keys = dict(rankings.values_list("digest", "pk"))
    return {
        version: {keys[digest] for each in line for digest in _digests(each) if digest in keys}
        for version, line in lines.items()
    }


def _digests(version: Version) -> set[str]:
    return {each["digest"] for each in version.origin.get("datasets", {}).values()}
