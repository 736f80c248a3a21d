"""Pages of who may use the site: the list, one person, what each role may do."""

from django.contrib import messages
from django.contrib.auth.models import Group
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from .. import actions, hooks, queries
from ..errors import Refusal
from ..forms import AddPersonForm
from ..models import Role, User
from ..permissions import PLACE_RIGHTS, RIGHT_NAMES, ROLE_RIGHTS, Right, requires
from .accounts import next_or


@requires(Right.MANAGE_PEOPLE)
@never_cache
def people(request: HttpRequest) -> HttpResponse:
    """Who may use the site; GET lists, POST adds someone and shows the generated password once."""
    form = AddPersonForm(request.POST or None)
    added, problems = None, []
    if form.is_bound and form.is_valid():
        try:
            added = actions.add_person(actor=request.user, **form.cleaned_data)
            form = AddPersonForm()
        except Refusal as refusal:
            problems = refusal.problems
    status = 400 if form.is_bound else 200
    return _people_page(request, form, *(added or (None, "")), problems=problems, status=status)


def _people_page(request, form, person=None, password="", problems=(), status=200) -> HttpResponse:
    asked = {name: request.GET.get(name, "").strip() for name in ("q", "role", "state", "group")}
    found = queries.people(search=asked["q"], role=asked["role"], state=asked["state"], group=asked["group"])
    context = {
        "form": form,
        "problems": problems,
        "tab": "people",
        "page": Paginator(found, 50).get_page(request.GET.get("page")),
        "query": asked["q"],
        "asked": asked,
        "roles": Role.choices,
        "states": queries.STATES,
        "groups": Group.objects.order_by("name"),
        "new_password_of": person,
        "password": password,
        "sign_in_address": request.build_absolute_uri("/"),
    }
    return render(request, "people/people.html", context, status=status)


@requires(Right.MANAGE_PEOPLE)
@require_http_methods(["GET", "POST"])
@never_cache
def person(request: HttpRequest, pk: int) -> HttpResponse:
    """Their role, groups, projects and figures, what they did last; POST: `do` names the verb."""
    person = get_object_or_404(User, pk=pk)
    return _change(request, person) if request.method == "POST" else _person_page(request, person)


def _person_page(request: HttpRequest, person: User, password: str = "") -> HttpResponse:
    context = {
        "person": person,
        "tab": "people",
        "roles": Role.choices,
        "groups": person.groups.order_by("name"),
        "sections": hooks.sections(person, request.user),
        "entries": queries.read(queries.trail(actor=person, routine=False)[:10]),
        "new_password_of": person,
        "password": password,
        "sign_in_address": request.build_absolute_uri("/"),
    }
    return render(request, "people/person.html", context)


def _change(request: HttpRequest, person: User) -> HttpResponse:
    match request.POST.get("do"):
        case "role":
            actions.change_role(actor=request.user, person=person, role=request.POST.get("role", ""))
            done = _("%(name)s is now %(role)s.") % {"name": person, "role": person.get_role_display()}
        case "deactivate":
            actions.deactivate(actor=request.user, person=person)
            done = _("%(name)s can no longer sign in. Their rankings stay.") % {"name": person}
        case "reactivate":
            actions.reactivate(actor=request.user, person=person)
            done = _("%(name)s can sign in again.") % {"name": person}
        case "reset":
            return _person_page(request, person, actions.reset_password(actor=request.user, person=person))
        case other:
            raise Refusal(_("“%(verb)s” is nothing that can be done to a person.") % {"verb": other})
    messages.success(request, done)
    return redirect(next_or(request, reverse("person", args=[person.pk])))


@requires(Right.MANAGE_PEOPLE)
@require_GET
def rights(request: HttpRequest) -> HttpResponse:
    """Which role gives which right, on the site and in a project; and who has more than an annotator."""
    context = {"tab": "rights", "rows": rights_by_role(), "roles": Role.choices}
    context["page"] = Paginator(queries.people(more_than_ranks=True), 50).get_page(request.GET.get("page"))
    return render(request, "people/rights.html", context)


def rights_by_role() -> list[dict]:
    """A row for each right: {"name", "site": [whether each role gives it], "place": [the same in a project; None: it is about the whole site]}."""
    return [
        {
            "name": name,
            "site": [right in ROLE_RIGHTS[role] for role in Role],
            "place": [right in ROLE_RIGHTS[role] if right in PLACE_RIGHTS else None for role in Role],
        }
        for right, name in RIGHT_NAMES.items()
    ]
