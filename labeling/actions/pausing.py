"""Who works in a project: paused and resumed, let in without the qualification, asked to try it again, warned about what is in it."""

from django.db import transaction
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from jobs.telling import tell
from labeling import queries
from labeling.actions.aside import pause, settle
from labeling.models import Desk, Project
from people.errors import Refusal
from people.models import User, audit
from people.permissions import Right, check

LONGEST_REASON = 300  # characters
RESUMED = gettext_noop("%(project)s: you can go on ranking. Welcome back.")
LET_IN = gettext_noop("%(project)s: you can begin ranking. Welcome.")
TRY_AGAIN = gettext_noop("%(project)s: please try the qualification once more; practice tasks come first.")


@transaction.atomic
def pause_desk(*, actor: User, project: Project, person: User, reason: str = "") -> Desk:
    """`person` gets no further tasks of this project; what they hold they may finish. They are told, and `reason` with it."""
    check(actor, Right.MANAGE_PROJECTS, place=project)
    reason = reason.strip()
    if len(reason) > LONGEST_REASON:
        raise Refusal(_("That is too long; at most %(most)d characters.") % {"most": LONGEST_REASON})
    desk = desk_of(project, person)
    if not desk.paused_because:
        pause(desk, person, project, Desk.Pause.ADMIN, timezone.now(), reason)
        desk.save()
        audit(actor, "desk.pause", desk, project=project.pk, person=person.pk, name=str(person), reason=reason)
    return desk


@transaction.atomic
def resume_desk(*, actor: User, project: Project, person: User) -> Desk:
    """`person` goes on; after a pause because of gold tasks these are counted anew, else as before. After a qualification: `let_in` or `let_try_again`."""
    check(actor, Right.MANAGE_PROJECTS, place=project)
    desk = desk_of(project, person)
    if desk.paused_because == Desk.Pause.QUALIFICATION:
        raise Refusal(
            _("%(name)s did not pass the qualification: let them in all the same, or let them try again.")
            % {"name": person},
            status=409,
        )
    if desk.paused_because:
        before = desk.paused_because
        if before == Desk.Pause.GOLD:
            desk.gold_scores = []
        _go_on(desk, RESUMED)
        audit(actor, "desk.resume", desk, project=project.pk, person=person.pk, name=str(person), was=before)
    return desk


@transaction.atomic
def let_in(*, actor: User, project: Project, person: User) -> Desk:
    """`person` gets real tasks, whatever they have done of practice and qualification."""
    check(actor, Right.MANAGE_PROJECTS, place=project)
    desk = desk_of(project, person)
    if desk.stage != Desk.Stage.WORKING or desk.paused_because == Desk.Pause.QUALIFICATION:
        before, desk.stage = desk.stage, Desk.Stage.WORKING
        _go_on(desk, LET_IN)
        audit(actor, "desk.let_in", desk, project=project.pk, person=person.pk, name=str(person), was=before)
    return desk


@transaction.atomic
def let_try_again(*, actor: User, project: Project, person: User) -> Desk:
    """`person` goes through practice and qualification once more, from the beginning."""
    check(actor, Right.MANAGE_PROJECTS, place=project)
    desk = desk_of(project, person)
    desk.stage, desk.attempt = Desk.Stage.PRACTICE, desk.attempt + 1
    _go_on(desk, TRY_AGAIN)
    audit(
        actor, "desk.try_again", desk, project=project.pk, person=person.pk, name=str(person), attempt=desk.attempt + 1
    )
    return desk


@transaction.atomic
def accept_warning(*, actor: User, project: Project, takes_sensitive: bool) -> Desk:
    """`actor` has read what a project warns about, and takes sensitive tasks or leaves them out. Can be changed at any time."""
    check(actor, Right.RANK, place=project)
    if not queries.belongs(actor, project):
        raise Refusal(_("You do not take part in this project."), status=403)
    desk = _desk(project, actor)
    desk.warned_at, desk.takes_sensitive = timezone.now(), takes_sensitive
    desk.save(update_fields=["warned_at", "takes_sensitive"])
    audit(actor, "desk.warned", desk, project=project.pk, takes_sensitive=takes_sensitive)
    return desk


def desk_of(project: Project, person: User) -> Desk:
    """The desk of somebody who ranks in the project, locked; a Refusal if they do not."""
    if not person.is_active:
        raise Refusal(_("%(name)s cannot rank: their account is closed.") % {"name": person})
    if not queries.belongs(person, project):
        raise Refusal(_("%(name)s does not take part in this project; add them first.") % {"name": person})
    return _desk(project, person)


def _desk(project: Project, person: User) -> Desk:
    desk, _new = Desk.objects.select_for_update().get_or_create(project=project, annotator=person)
    return desk


def _go_on(desk: Desk, told: str) -> None:
    desk.paused_because, desk.paused_at = "", None
    desk.save()
    settle(desk)
    address = reverse("rank-project", args=[desk.project.slug])
    tell(person=desk.annotator, text=told, address=address, project=desk.project.name)
