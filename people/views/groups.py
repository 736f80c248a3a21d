"""Pages of groups: people who get tasks together."""

from django.contrib import messages
from django.contrib.auth.models import Group
from django.core.paginator import Paginator
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from .. import actions, hooks, queries
from ..errors import Refusal
from ..models import User
from ..permissions import Right, requires
from ..searching import row_keys


@requires(Right.MANAGE_PEOPLE)
@require_http_methods(["GET", "POST"])
def groups(request: HttpRequest) -> HttpResponse:
    problems: list[str] = []
    if request.method == "POST":
        try:
            group = actions.create_group(actor=request.user, name=request.POST.get("name", ""))
            return redirect("group", group.pk)
        except Refusal as refusal:
            problems = list(refusal.problems)
    found = Group.objects.annotate(people=Count("user")).order_by("name")
    page = Paginator(found, 50).get_page(request.GET.get("page"))
    context = {"tab": "groups", "page": page, "problems": problems, "name": request.POST.get("name", "")}
    return render(request, "people/groups.html", context, status=400 if problems else 200)


@requires(Right.MANAGE_PEOPLE)
@require_http_methods(["GET", "POST"])
def group(request: HttpRequest, pk: int) -> HttpResponse:
    """Its people; POST: `do` names the verb."""
    group = get_object_or_404(Group, pk=pk)
    if request.method == "POST":
        return _change(request, group)
    search = request.GET.get("q", "").strip()
    offered = queries.people(search=search, state="active").exclude(groups=group)
    context = {
        "tab": "groups",
        "group": group,
        "page": Paginator(group.user_set.order_by("username"), 100).get_page(request.GET.get("page")),
        "query": search,
        "offered": offered[:50],
        "more": offered.count() > 50,
        "reasons": hooks.needs(group),
    }
    return render(request, "people/group.html", context)


def _change(request: HttpRequest, group: Group) -> HttpResponse:
    actor, chosen = request.user, request.POST.getlist("people")
    people = User.objects.filter(pk__in=row_keys(chosen))
    match request.POST.get("do"):
        case "add":
            actions.add_to_group(actor=actor, group=group, people=people)
            done = _("Added: %(names)s.") % {"names": ", ".join(map(str, people)) or _("nobody")}
        case "remove":
            actions.remove_from_group(actor=actor, group=group, people=people)
            done = _("Removed: %(names)s.") % {"names": ", ".join(map(str, people)) or _("nobody")}
        case "rename":
            actions.rename_group(actor=actor, group=group, name=request.POST.get("name", ""))
            done = _("The group is called %(name)s now.") % {"name": group.name}
        case "delete":
            actions.delete_group(actor=actor, group=group)
            messages.success(request, _("The group %(name)s is deleted. Its people stay.") % {"name": group.name})
            return redirect("groups")
        case other:
            raise Refusal(_("“%(verb)s” is nothing that can be done to a group.") % {"verb": other})
    messages.success(request, done)
    return redirect("group", group.pk)
