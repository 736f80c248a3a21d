"""Questions about projects, tasks and rankings. Nothing here changes anything."""

from itertools import chain
from typing import TypedDict

from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Sum
from django.utils import timezone

from labeling import statements
from labeling.lanes import cursor_key, lanes_for
from labeling.models import Assignment, Desk, Membership, Project, Ranking, Task
from labeling.ranking import LETTERS, WeakOrder
from people.models import Role, User
from people.permissions import Right, can

COUNT_AHEAD = 100  # tasks ahead of a person are counted up to here: a desk must not grow slower with its project


class Output(TypedDict):
    letter: str
    text: str


class Progress(TypedDict):
    today: int
    done: int
    available: int


class Options(TypedDict):
    partial: bool
    line: bool


class BoardState(TypedDict):
    """All that the board may know: letters, never who wrote what."""

    assignment: str
    project: str
    prompt: str | list
    outputs: list[Output]
    progress: Progress
    options: Options
    ranking: str
    lease_until: str


# Who may take part


def memberships_of(user: User) -> QuerySet[Membership]:
    return Membership.objects.filter(user=user)


def may_take(user: User, project: Project, *, member: bool) -> bool:
    """May `user`, who is a `member` or not, be given tasks of `project` now?"""
    if project.state != Project.State.OPEN or not can(user, Right.RANK):
        return False
    return member or project.open_to_all or can(user, Right.MANAGE_PROJECTS)


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
    is_free = task.state == Task.State.OPEN and task.free_slots > 0
    return is_free and (not mine or mine.state == Assignment.State.EXPIRED) and may_rank(user, task.project)


def subject_of(project: Project) -> str:
    """By this the jobs about a project are found."""
    return f"labeling.project:{project.pk}"


# A person's turn


def board_state(assignment: Assignment) -> BoardState:
    """What the board shows for a claimed assignment.

    `ranking` is what the person said before, in the board's letters, if the task was called back ("" if not). `available` counts the tasks
    ahead of them, up to COUNT_AHEAD.
    """
    project, task = assignment.project, assignment.task
    texts = statements.texts(task.pk)
    before = assignment.rankings.order_by("-revision").first() if assignment.revisions else None
    return {
        "assignment": str(assignment.pk),
        "project": project.slug,
        "prompt": task.prompt.content,
        "outputs": [{"letter": LETTERS[i], "text": texts[position]} for i, position in enumerate(assignment.display)],
        "progress": progress(assignment.annotator_id, project),
        "options": {"partial": project.allow_partial, "line": project.acceptability_line},
        "ranking": as_shown(assignment, before) if before else "",
        "lease_until": assignment.lease_until.isoformat() if assignment.lease_until else "",
    }


def as_shown(assignment: Assignment, ranking: Ranking) -> str:
    """A stored ranking in the letters of the board that its assignment showed."""
    display = assignment.display
    letter_of = [display.index(position) for position in range(len(display))]
    return str(WeakOrder.parse(ranking.notation, items=len(display)).relabel(letter_of))


def progress(annotator_id: int, project: Project) -> Progress:
    desk = statements.desk(annotator_id, project.pk, lock=False) or Desk()
    available = 0
    for lane in chain.from_iterable(lanes_for(annotator_id, desk, project)):
        for priority in project.priorities:
            behind = desk.cursors.get(cursor_key(lane, priority), 0)
            available += statements.waiting(project.pk, lane, priority, behind, COUNT_AHEAD - available)
    return {
        "today": desk.done_that_day if desk.day == timezone.localdate() else 0,
        "done": desk.done,
        "available": available,
    }


def history(user: User, project: Project) -> QuerySet[Assignment]:
    """One's own finished turns, newest first."""
    return (
        Assignment.objects.filter(annotator=user, project=project, finished_at__isnull=False)
        .select_related("task__prompt", "project")
        .order_by("-finished_at")
    )


# A project's figures


def project_counts(project: Project) -> dict[str, int]:
    """What a project's page says in figures. `wanted` is the number of rankings its overlap asks for."""
    tasks = project.tasks.aggregate(
        tasks=Count("pk"),
        complete=Count("pk", filter=Q(state=Task.State.COMPLETE)),
        review=Count("pk", filter=Q(state=Task.State.REVIEW)),
        wanted=Sum("overlap", default=0),
        rankings=Sum("submitted", default=0),
    )
    turns = project.assignments.aggregate(
        claimed=Count("pk", filter=Q(state=Assignment.State.CLAIMED)),
        spare=Count("pk", filter=Q(state=Assignment.State.SPARE)),
        skipped=Count("pk", filter=Q(state=Assignment.State.SKIPPED)),
        flagged=Count("pk", filter=Q(state=Assignment.State.FLAGGED)),
        annotators=Count(
            "annotator", distinct=True, filter=Q(state__in=[Assignment.State.SUBMITTED, Assignment.State.SPARE])
        ),
    )
    return {"prompts": project.prompts.count(), **tasks, **turns}
