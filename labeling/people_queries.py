"""Questions about people in projects: who takes part in which role, how far each has come, and who worked how much."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db.models import Avg, Count, Exists, F, Max, OuterRef, Q, QuerySet, Sum
from django.db.models.functions import TruncDate

from labeling import queries
from labeling.models import Assignment, Desk, Membership, Project, Ranking, Task
from people.models import AuditEntry, Role, User
from people.searching import midnight, people_called

State = Assignment.State
RANKED = (State.SUBMITTED, State.SPARE)


# People in a project, projects of a person


@dataclass
class Place:
    """One person in one project: their role, their desk, what they did."""

    user: User
    project: Project
    role: str | None = None  # None: they only did something here, or the project is open to all
    desk: Desk | None = None
    ranked: int = 0
    imported_rankings: int = 0
    gold: int = 0  # of those ranked, tasks with a known answer
    gold_score: float | None = None  # over all gold tasks they ranked, the share of what is known that they kept
    skipped: int = 0
    flagged: int = 0
    last_activity: datetime | None = None  # the day of an import says nothing about a person

    @property
    def name(self) -> str:
        return self.project.name_of(self.user)

    @property
    def role_name(self) -> str:
        return str(Role(self.role).label) if self.role else ""

    @property
    def gold_percent(self) -> int:
        return round(100 * (self.gold_score or 0))

    @property
    def may_work(self) -> bool:
        """False: their account is closed, or they take part no more, whatever their desk says."""
        return queries.takes_part(self.user, self.project, member=self.role is not None)

    @property
    def paused(self) -> bool:
        return bool(self.desk and self.desk.paused_because)


def _did(turns: QuerySet[Assignment], by: str) -> dict[int, dict]:
    """What was done, by the person or the project."""
    rows = turns.order_by().values(by).annotate(
        ranked=Count("pk", filter=Q(state__in=RANKED)),
        imported_rankings=Count("pk", filter=Q(imported=True)),
        gold=Count("pk", filter=Q(state__in=RANKED, gold_score__isnull=False)),
        gold_score=Avg("gold_score", filter=Q(state__in=RANKED, task__kind=Task.Kind.GOLD)),
        skipped=Count("pk", filter=Q(state=State.SKIPPED)),
        flagged=Count("pk", filter=Q(state=State.FLAGGED)),
        last_activity=Max("finished_at", filter=Q(imported=False)),
    )  # fmt: skip
    return {row.pop(by): row for row in rows}


def people_in(project: Project, *, search: str = "", role: str = "") -> list[Place]:
    """Members and whoever did something here; those who did most first. `role` "none": no member."""
    did = _did(project.assignments.all(), "annotator")
    roles = dict(project.memberships.values_list("user", "role"))
    desks = {desk.annotator_id: desk for desk in project.desks.all()}
    found = [
        Place(user, project, roles.get(pk), desks.get(pk), **did.get(pk, {}))
        for pk, user in User.objects.in_bulk({*roles, *did, *desks}).items()
    ]
    if search:
        words = search.casefold()
        found = [place for place in found if words in f"{place.user} {place.user.username}".casefold()]
    if role:
        found = [place for place in found if place.role == (None if role == "none" else role)]
    return sorted(found, key=lambda place: (-place.ranked, place.user.username))


def desks_of(person: User) -> list[Place]:
    """Their projects, the newest first."""
    did = _did(Assignment.objects.filter(annotator=person), "project")
    roles = dict(Membership.objects.filter(user=person).values_list("project", "role"))
    desks = {desk.project_id: desk for desk in Desk.objects.filter(annotator=person)}
    projects = Project.objects.filter(pk__in={*did, *roles, *desks})
    return [
        Place(person, project, roles.get(project.pk), desks.get(project.pk), **did.get(project.pk, {}))
        for project in projects
    ]


def reason_of_pause(person: User, project: Project) -> str:
    """What an admin gave as reason when they paused `person`; "" without one."""
    paused = AuditEntry.objects.filter(
        verb="desk.pause",
        object_type=Desk._meta.label,
        object_id__in=[str(pk) for pk in project.desks.filter(annotator=person).values_list("pk", flat=True)],
    )
    newest = paused.order_by("-pk").first()
    return str(newest.data.get("reason", "")) if newest else ""


def people_to_add(project: Project, search: str = "") -> QuerySet[User]:
    """Those who can sign in and do not belong to the project yet."""
    found = User.objects.filter(is_active=True, is_simulated=False).exclude(memberships__project=project)
    if search:
        found = found.filter(people_called(search))
    return found.order_by("username")


def who_may_more(project: Project) -> QuerySet[User]:
    """Members, and those whose role on the site gives more than ranking."""
    members = Exists(Membership.objects.filter(project=project, user=OuterRef("pk")))
    found = User.objects.filter(is_active=True, is_simulated=False)
    return found.filter(members | ~Q(role=Role.ANNOTATOR)).order_by("username")


# Hours and counts


@dataclass(frozen=True)
class Day:
    """What one person did in one project on one day (of the site's time zone).

    Everything somebody did at the board is work, and counted: gold tasks, practice, repeats, spare rankings, skips and flags like any other turn. `seconds`
    are those of active work that the browser measured until a task was ranked, skipped or flagged, or a ranking changed; a turn whose time
    nobody measured has none. Imported rankings are nobody's work here.
    """

    day: date
    user: User
    project: Project
    rankings: int = 0
    aside: int = 0  # of the rankings: gold, practice, qualification, repeats
    changed: int = 0  # rankings changed afterwards
    skips: int = 0
    flags: int = 0
    seconds: float = 0.0

    @property
    def hours(self) -> float:
        return self.seconds / 3600


def hours(*, projects: Iterable[Project], first: date, last: date, person: User | None = None) -> list[Day]:
    """A row for each day, person and project in which anything was done, newest day first. `first` and `last` are included."""
    projects = {project.pk: project for project in projects}
    since, until = midnight(first), midnight(last + timedelta(days=1))
    turns = Assignment.objects.filter(
        project__in=projects, imported=False, finished_at__gte=since, finished_at__lt=until
    )
    made = Ranking.objects.filter(
        assignment__project__in=projects, assignment__imported=False, created_at__gte=since, created_at__lt=until
    )
    if person is not None:
        turns, made = turns.filter(annotator=person), made.filter(assignment__annotator=person)
    found: dict[tuple[date, int, int], dict] = {}
    counted = turns.order_by().values(at=TruncDate("finished_at"), who=F("annotator"), where=F("project")).annotate(
        rankings=Count("pk", filter=Q(state__in=RANKED)),
        aside=Count("pk", filter=Q(state__in=RANKED, aside=True)),
        skips=Count("pk", filter=Q(state=State.SKIPPED)),
        flags=Count("pk", filter=Q(state=State.FLAGGED)),
        seconds=Sum("seconds", default=0.0),
    )  # fmt: skip
    timed = made.order_by().values(
        at=TruncDate("created_at"), who=F("assignment__annotator"), where=F("assignment__project")
    ).annotate(seconds=Sum("seconds", default=0.0), changed=Count("pk", filter=Q(revision__gt=1)))  # fmt: skip
    for row in [*counted, *timed]:
        key = row.pop("at"), row.pop("who"), row.pop("where")
        did = found.setdefault(key, {"seconds": 0.0})
        did["seconds"] += row.pop("seconds")
        did.update(row)
    users = User.objects.in_bulk({who for _, who, _ in found})
    days = [Day(day, users[who], projects[where], **did) for (day, who, where), did in found.items()]
    days = [day for day in days if day.rankings or day.skips or day.flags or day.changed or day.seconds]
    return sorted(days, key=lambda day: (-day.day.toordinal(), str(day.user).casefold(), day.project.name))


@dataclass
class Total:
    """Days together: those of one person in one project, or all."""

    user: User | None = None
    project: Project | None = None
    days: int = 0
    rankings: int = 0
    aside: int = 0
    changed: int = 0
    skips: int = 0
    flags: int = 0
    seconds: float = 0.0

    @property
    def hours(self) -> float:
        return self.seconds / 3600


def totals(days: Iterable[Day]) -> list[Total]:
    """Those with most hours first."""
    found: dict[tuple[int, int], Total] = {}
    for day in days:
        _add(day, found.setdefault((day.user.pk, day.project.pk), Total(day.user, day.project)))
    return sorted(found.values(), key=lambda total: (-total.seconds, -total.rankings, str(total.user)))


def sum_of(days: Iterable[Day]) -> Total:
    total = Total()
    for day in days:
        _add(day, total)
    return total


def _add(day: Day, total: Total) -> None:
    total.days += 1
    for name in ("rankings", "aside", "changed", "skips", "flags", "seconds"):
        setattr(total, name, getattr(total, name) + getattr(day, name))
