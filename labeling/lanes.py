"""Lanes: whose queue a task stands in. "" is everybody's, "u12" one person's, "g3" one group's; a "!" behind it is for who takes sensitive tasks."""

from collections.abc import Sequence

from django.contrib.auth.models import Group

from labeling import statements
from labeling.models import Desk, Project
from people.models import User

EVERYBODY = ""
SENSITIVE = "!"


def lane_of(to: User | Group | None, *, sensitive: bool = False) -> str:
    """The lane of tasks that are given to a person or a group, or to everybody."""
    whose = EVERYBODY if to is None else f"{'u' if isinstance(to, User) else 'g'}{to.pk}"
    return whose + SENSITIVE if sensitive else whose


def owner_of(lane: str) -> str:
    """The lane without its mark: "", "u12" or "g3"."""
    return lane.removesuffix(SENSITIVE)


def is_sensitive(lane: str) -> bool:
    return lane.endswith(SENSITIVE)


def whose(owner: str) -> User | Group | None:
    """The person or group of a lane without its mark; None for everybody's, or if they are gone."""
    kind, pk = owner[:1], owner[1:]
    if kind not in {"u", "g"} or not pk.isdecimal():
        return None
    return (User if kind == "u" else Group).objects.filter(pk=int(pk)).first()


def takes_sensitive(desk: Desk, project: Project) -> bool:
    """Nobody gets a sensitive task before they have read the warning."""
    return desk.takes_sensitive and (desk.warned_at is not None or not project.content_warning)


def lanes_for(annotator: int, desk: Desk, project: Project) -> Sequence[Sequence[str]]:
    """The lanes from which somebody gets tasks: their own first, then their groups', then everybody's.

    Those that stand together (with and without sensitive tasks) are one queue: the task that came first is the next one. Where everybody has one
    queue, nothing is looked up.
    """
    if project.lanes == [EVERYBODY]:
        return ((EVERYBODY,),)
    groups = statements.groups(annotator) if any(lane.startswith("g") for lane in project.lanes) else []
    owners = [f"u{annotator}", *(f"g{group}" for group in groups), EVERYBODY]
    marks = (EVERYBODY, SENSITIVE) if takes_sensitive(desk, project) else (EVERYBODY,)
    together = ([owner + mark for mark in marks if owner + mark in project.lanes] for owner in owners)
    return [lanes for lanes in together if lanes]


def cursor_key(lane: str, priority: int) -> str:
    """Under which a desk keeps how far its person has walked down a lane."""
    return f"{lane}/{priority}" if lane else str(priority)
