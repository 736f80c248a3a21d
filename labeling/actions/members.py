"""Who belongs to a project, in which role, and links that let people in."""

from collections.abc import Iterable
from datetime import date

from django.db import transaction
from django.utils.translation import gettext as _

from labeling.actions.assigning import take_back
from labeling.actions.pausing import desk_of
from labeling.models import Membership, Project, ProjectInvitation
from people.actions.invitations import RANKS, end_invitation, make_invitation
from people.errors import Refusal
from people.models import Invitation, Role, User, audit
from people.permissions import ANYWHERE, Right, check

MOST_A_DAY = 10_000


@transaction.atomic
def add_members(*, actor: User, project: Project, users: Iterable[User], role: str = Role.ANNOTATOR) -> int:
    """Let `users` take part; who already does gets the new role. Returns how many there are now."""
    check(actor, Right.MANAGE_PROJECTS, place=project)
    if role not in Role.values:
        raise Refusal(_("There is no role “%(role)s”.") % {"role": role})
    users = list(users)
    Membership.objects.bulk_create(
        [Membership(project=project, user=user, role=role) for user in users],
        update_conflicts=True,
        unique_fields=["project", "user"],
        update_fields=["role"],
    )
    audit(actor, "project.add_members", project, users=[user.username for user in users], role=role)
    return project.memberships.count()


@transaction.atomic
def remove_members(*, actor: User, project: Project, users: Iterable[User]) -> int:
    """They get no further task of this project; what they ranked stays, and what was assigned to them goes to everybody. Returns how many are left."""
    check(actor, Right.MANAGE_PROJECTS, place=project)
    users = list(users)
    Membership.objects.filter(project=project, user__in=users).delete()
    tasks = take_back(project, users)
    audit(actor, "project.remove_members", project, users=[user.username for user in users], tasks_taken_back=tasks)
    return project.memberships.count()


@transaction.atomic
def set_daily_goal(*, actor: User, project: Project, user: User, goal: int | None) -> None:
    """How many rankings a day are hoped for from one person; None: as many as from everybody."""
    check(actor, Right.MANAGE_PROJECTS, place=project)
    if goal is not None and not 1 <= goal <= MOST_A_DAY:
        raise Refusal(_("A daily goal is a number from 1 to %(most)s, or empty.") % {"most": MOST_A_DAY})
    desk = desk_of(project, user)
    before, desk.daily_goal = desk.daily_goal, goal
    desk.save(update_fields=["daily_goal"])
    audit(actor, "project.daily_goal", project, user=user.username, before=before, after=goal)


@transaction.atomic
def invite_to_project(
    *, actor: User, project: Project, role: str = Role.ANNOTATOR, uses: int = 1, days: int = 7, note: str = ""
) -> tuple[Invitation, str]:
    """A link into a project. Who has no account makes one that may rank, and nothing more elsewhere. Returns the secret too, which is not kept."""
    check(actor, Right.MANAGE_PROJECTS, place=project)
    if role not in Role.values:
        raise Refusal(_("There is no role “%(role)s”.") % {"role": role})
    powerful = role == Role.ADMIN
    invitation, secret = make_invitation(
        actor=actor, role=Role.ANNOTATOR, uses=uses, days=days, note=note, powerful=powerful
    )
    ProjectInvitation.objects.create(invitation=invitation, project=project, role=role)
    audit(actor, "project.invite", project, invitation=invitation.pk, role=role, uses=uses, days=days)
    return invitation, secret


@transaction.atomic
def revoke_project_invitation(*, actor: User, project: Project, invitation: Invitation) -> None:
    check(actor, Right.MANAGE_PROJECTS, place=project)
    if not project.invitations.filter(invitation=invitation).exists():
        raise Refusal(_("This link belongs to another project."), status=404)
    end_invitation(invitation)
    audit(actor, "project.revoke_invitation", project, invitation=invitation.pk)


@transaction.atomic
def export_hours(*, actor: User, project: Project | None, first: date, last: date) -> None:
    """Somebody takes hours and counts away as a file: those of one project, or of all whose hours they may see."""
    check(actor, Right.SEE_HOURS, place=project or ANYWHERE)
    audit(actor, "project.export_hours", project or actor, first=str(first), last=str(last))


def join(invitation: Invitation, user: User) -> None:
    """What accepting does to projects (people.hooks): a role there, never a lower one than somebody has."""
    opened = ProjectInvitation.objects.filter(invitation=invitation).first()
    if opened is None:
        return
    membership, new = Membership.objects.get_or_create(
        project_id=opened.project_id, user=user, defaults={"role": opened.role}
    )
    if not new and RANKS.index(opened.role) > RANKS.index(membership.role):
        membership.role = opened.role
        membership.save(update_fields=["role"])
