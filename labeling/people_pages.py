"""What labeling adds to people's pages: projects that an invitation opens, tasks that wait for a group, what somebody does in projects."""

from collections.abc import Iterator

from django.contrib.auth.models import Group
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from labeling import lanes
from labeling.actions.assigning import take_back
from labeling.actions.members import join
from labeling.models import Membership, Project, ProjectInvitation, Task
from labeling.people_queries import desks_of
from people import hooks
from people.models import Invitation, Role, User
from people.permissions import Right, can


def describe(invitation: Invitation) -> hooks.Opened | None:
    opened = ProjectInvitation.objects.select_related("project").filter(invitation=invitation).first()
    if opened is None:
        return None
    text = _("You rank what models write.")
    if opened.role != Role.ANNOTATOR:
        text = _("Your role in this project: %(role)s.") % {"role": opened.get_role_display()}
    address = reverse("rank-project", args=[opened.project.slug])
    if opened.role != Role.ANNOTATOR:
        address = opened.project.get_absolute_url()
    return hooks.Opened(opened.project.name, opened.get_role_display(), text, address)


def stands(invitation: Invitation) -> bool | None:
    opened = ProjectInvitation.objects.select_related("project").filter(invitation=invitation).first()
    return can(invitation.created_by, Right.MANAGE_PROJECTS, opened.project) if opened else None


hooks.register_opener(hooks.Opener(describe, stands, join))


@hooks.group_need
def tasks_of(group: Group) -> Iterator[str]:
    lane = lanes.lane_of(group)
    count = Task.objects.filter(lane__in=[lane, lane + lanes.SENSITIVE], position__isnull=False).count()
    if count:
        said = ngettext("%(count)d task waits for this group.", "%(count)d tasks wait for this group.", count)
        yield said % {"count": count} + " " + _("Give them to somebody else first.")


@hooks.person_steps_back
def give_tasks_back(person: User) -> dict[str, int]:
    """What was assigned to somebody alone would wait for ever where they take part no more."""
    own = lanes.lane_of(person)
    projects = [each for each in Project.objects.all() if {own, own + lanes.SENSITIVE} & set(each.lanes)]
    count = sum(take_back(project, [person]) for project in projects)
    return {"tasks_taken_back": count} if count else {}


@hooks.person_section
def projects_of(person: User, viewer: User) -> Iterator[hooks.Section]:
    rows = [row for row in desks_of(person) if can(viewer, Right.SEE_PROJECTS, row.project)]
    if rows or Membership.objects.filter(user=person).exists():
        yield hooks.Section(_("Projects"), "labeling/parts/desks_of.html", {"rows": rows, "person": person})
