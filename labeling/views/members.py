"""Pages of a project's people: who takes part and how far each has come, links that let people in, who may do what, who did what."""

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from labeling import actions, people_queries, places, task_queries
from labeling.models import Desk, Project
from labeling.places import place_name
from labeling.views.lists import page_of
from people.actions import add_person
from people.errors import Refusal
from people.forms import AddPersonForm, InviteForm
from people.models import Invitation, Role, User
from people.permissions import PLACE_RIGHTS, RIGHT_NAMES, Right, can, requires
from people.searching import row_key, row_keys
from people.views import audit as trail_pages
from people.views.accounts import next_or
from people.views.invitations import link_to
from people.views.people import rights_by_role

OFFERED = 50  # people to choose from at once; others are found by name


@require_http_methods(["GET", "POST"])
@requires(Right.MANAGE_PROJECTS, place=places.project)
@never_cache
def members(request: HttpRequest, slug: str) -> HttpResponse:
    """Who takes part. POST changes one person (`do` and `person`), adds people (`add`), makes a new one (`make`) or a link (`invite`)."""
    project = get_object_or_404(Project, slug=slug)
    context: dict[str, object] = {"make": AddPersonForm(), "invite": InviteForm()}
    if request.method == "POST":
        try:
            answer = _changed(request, project, context)
        except Refusal as refusal:
            context["problems"], answer = list(refusal.problems), None
        if answer:
            return answer
    shown_once = "password" in context or "link" in context
    status = 400 if request.method == "POST" and not shown_once else 200
    return render(request, "labeling/members.html", _page(request, project) | context, status=status)


def _page(request: HttpRequest, project: Project) -> dict[str, object]:
    search, role = request.GET.get("q", "").strip(), request.GET.get("role", "")
    offered = people_queries.people_to_add(project, request.GET.get("add", "").strip())
    links = project.invitations.select_related("invitation__created_by").order_by("-invitation__pk")[:50]
    return {
        "project": project,
        "tab": "people",
        "page": page_of(request, people_queries.people_in(project, search=search, role=role), size=50),
        "query": search,
        "role": role,
        "roles": Role.choices,
        "searched": request.GET.get("add", "").strip(),
        "offered": offered[:OFFERED],
        "more": offered.count() > OFFERED,
        "rows": [(each.invitation, [], each.invitation.accepted_by.all()[:20]) for each in links],
        "stranded": task_queries.stranded(project),
        "now": timezone.now(),
        "sign_in_address": request.build_absolute_uri("/"),
    }


def _changed(request: HttpRequest, project: Project, context: dict[str, object]) -> HttpResponse | None:
    """Carry out what was posted: an answer, or None with something to show in `context`."""
    data, actor = request.POST, request.user
    if "remove" in data:
        person = get_object_or_404(User, pk=row_key(data["remove"]), memberships__project=project)
        actions.remove_members(actor=actor, project=project, users=[person])
        done = _("%(name)s gets no further tasks here. What they ranked stays.") % {"name": person}
    elif "add" in data:
        people = list(people_queries.people_to_add(project).filter(pk__in=row_keys(data.getlist("people"))))
        if not people:
            raise Refusal(_("Choose who is to take part."))
        actions.add_members(actor=actor, project=project, users=people, role=data.get("role") or Role.ANNOTATOR)
        done = _("Added: %(names)s.") % {"names": ", ".join(map(str, people))}
    elif "make" in data:
        context["make"] = make = AddPersonForm(data)
        if make.is_valid():
            with transaction.atomic():
                person, password = add_person(actor=actor, **make.cleaned_data)
                actions.add_members(actor=actor, project=project, users=[person])
            context |= {"person": person, "password": password, "make": AddPersonForm()}
        return None
    elif "invite" in data:
        context["invite"] = invite = InviteForm(data)
        if invite.is_valid():
            _invitation, secret = actions.invite_to_project(actor=actor, project=project, **invite.cleaned_data)
            context |= {"link": link_to(request, secret), "invite": InviteForm()}
        return None
    else:
        done = _change_one(request, project, get_object_or_404(User, pk=row_key(data.get("person", ""))))
    messages.success(request, done)
    return redirect(next_or(request, request.get_full_path()))


def _change_one(request: HttpRequest, project: Project, person: User) -> str:
    """One person's role, goal or desk; what to say about it."""
    data, who = request.POST, {"actor": request.user, "project": project}
    match data.get("do"):
        case "role":
            actions.add_members(**who, users=[person], role=data.get("role", ""))
            return _("%(name)s is %(role)s here now.") % {"name": person, "role": Role(data["role"]).label}
        case "goal":
            goal = data.get("goal", "").strip()
            if goal and not goal.isdecimal():
                raise Refusal(_("A daily goal is a number, or empty."))
            actions.set_daily_goal(**who, user=person, goal=int(goal[:9]) if goal else None)
            return _("Saved.")
        case "pause":
            actions.pause_desk(**who, person=person, reason=data.get("reason", ""))
            return _("%(name)s is paused and gets no further tasks here.") % {"name": person}
        case "resume":
            anew = project.desks.filter(annotator=person, paused_because=Desk.Pause.GOLD).exists()
            actions.resume_desk(**who, person=person)
            if anew:
                return _("%(name)s can go on. Their gold tasks are counted anew before the next pause.") % {
                    "name": person
                }
            return _("%(name)s can go on.") % {"name": person}
        case "let_in":
            actions.let_in(**who, person=person)
            return _("%(name)s gets real tasks now.") % {"name": person}
        case "try_again":
            actions.let_try_again(**who, person=person)
            return _("%(name)s begins again with practice tasks.") % {"name": person}
        case other:
            raise Refusal(_("“%(verb)s” is nothing that can be done to a person.") % {"verb": other})


@require_POST
@requires(Right.MANAGE_PROJECTS, place=places.project)
def revoke(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    project = get_object_or_404(Project, slug=slug)
    invitation = get_object_or_404(Invitation, pk=pk, to_project__project=project)
    actions.revoke_project_invitation(actor=request.user, project=project, invitation=invitation)
    messages.success(request, _("The link opens nothing any more. Who came by it stays."))
    return redirect("project-members", project.slug)


@require_GET
@requires(Right.MANAGE_PROJECTS, place=places.project)
def rights(request: HttpRequest, slug: str) -> HttpResponse:
    """Who may do what here: members, and those whose role on the site gives more than ranking."""
    project = get_object_or_404(Project, slug=slug)
    shown = [right for right in RIGHT_NAMES if right in PLACE_RIGHTS]
    page = page_of(request, people_queries.who_may_more(project), size=50)
    roles = dict(project.memberships.filter(user__in=list(page)).values_list("user", "role"))
    context = {
        "project": project,
        "tab": "people",
        "names": [RIGHT_NAMES[right] for right in shown],
        "page": page,
        "people": [
            (
                person,
                Role(roles[person.pk]).label if person.pk in roles else "",
                [can(person, r, project) for r in shown],
            )
            for person in page
        ],
        "rows": rights_by_role(),
        "roles": Role.choices,
    }
    return render(request, "labeling/members_rights.html", context)


@require_GET
@requires(Right.SEE_AUDIT, place=places.project)
@never_cache
def audit(request: HttpRequest, slug: str) -> HttpResponse:
    """What was decided about this project, its tasks, batches, data sets and people."""
    project = get_object_or_404(Project, slug=slug)
    context = {"project": project, "tab": "people", **trail_pages.about(request, place_name(project.pk))}
    return render(request, "labeling/audit.html", context)


@require_GET
@requires(Right.SEE_AUDIT, place=places.project)
def audit_file(request: HttpRequest, slug: str) -> HttpResponse:
    project = get_object_or_404(Project, slug=slug)
    return trail_pages.as_file(request, place_name(project.pk), project)
