"""Pages of projects: the list, a project's overview, its people."""

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from jobs.models import Job
from labeling import actions, hooks, places, project_queries, queries
from labeling.forms.projects import MembersForm
from labeling.models import Project
from labeling.views.lists import filter_of, page_of, search_of
from people.actions import add_person
from people.errors import Refusal
from people.forms import AddPersonForm
from people.models import User
from people.permissions import ANYWHERE, Right, requires


@require_GET
@requires(Right.SEE_PROJECTS, place=ANYWHERE)
def projects(request: HttpRequest) -> HttpResponse:
    state = filter_of(request, "state", _("Open and paused"), Project.State.choices)
    search = search_of(request)
    context = {
        "page": page_of(request, project_queries.project_list(request.user, search=search, state=state.value)),
        "query": search,
        "filters": [state],
        "any": places.projects_with(request.user, Right.SEE_PROJECTS).exists(),
    }
    return render(request, "labeling/projects.html", context)


@require_GET
@requires(Right.SEE_PROJECTS, place=places.project)
def project(request: HttpRequest, slug: str) -> HttpResponse:
    """What to do next, how it goes, the people."""
    project = get_object_or_404(Project, slug=slug)
    counts = queries.project_counts(project)
    snapshot = project.snapshots.first()
    used = snapshot is not None and hooks.uses([snapshot])[snapshot.pk] > 0
    steps = project_queries.steps(project, counts, snapshot, trained=used)
    context = {
        "project": project,
        "tab": "overview",
        "counts": counts,
        "left": counts["wanted"] - counts["rankings"],
        "steps": steps,
        "next": next((step.name for step in steps if step.current), ""),
        "snapshot": snapshot,
        "throughput": project_queries.throughput(project, wanted=counts["wanted"], ranked=counts["rankings"]),
        "people": project_queries.participants(project),
        "jobs": Job.objects.filter(
            subject=queries.subject_of(project), state__in=[Job.State.WAITING, Job.State.RUNNING]
        ),
    }
    return render(request, "labeling/project.html", context)


# People


@require_http_methods(["GET", "POST"])
@requires(Right.MANAGE_PROJECTS, place=places.project)
@never_cache
def members(request: HttpRequest, slug: str) -> HttpResponse:
    """Who takes part. POST adds people who can sign in already (`people`), or makes a new one (`username`), or removes one."""
    project = get_object_or_404(Project, slug=slug)
    data = request.POST if request.method == "POST" else None
    adding, making = data is not None and "add" in data, data is not None and "make" in data
    add = MembersForm(data if adding else None, people=project_queries.people_to_add(project))
    make = AddPersonForm(data if making else None)
    context = {"project": project, "tab": "people", "add": add, "make": make}
    try:
        if data is not None and "remove" in data:
            person = get_object_or_404(User, pk=data["remove"], memberships__project=project)
            actions.remove_members(actor=request.user, project=project, users=[person])
            messages.success(
                request, _("%(name)s gets no further tasks here. What they ranked stays.") % {"name": person}
            )
            return redirect("project-members", project.slug)
        if adding and add.is_valid():
            people = list(add.cleaned_data["people"])
            actions.add_members(actor=request.user, project=project, users=people)
            messages.success(request, _("Added: %(names)s.") % {"names": ", ".join(map(str, people))})
            return redirect("project-members", project.slug)
        if making and make.is_valid():
            with transaction.atomic():
                person, password = add_person(actor=request.user, **make.cleaned_data)
                actions.add_members(actor=request.user, project=project, users=[person])
            context |= {"person": person, "password": password, "make": AddPersonForm()}
            context["sign_in_address"] = request.build_absolute_uri("/")
    except Refusal as refusal:
        context["problems"] = list(refusal.problems)
    context["page"] = page_of(request, project_queries.participants(project), size=50)
    ok = data is None or "password" in context
    return render(request, "labeling/members.html", context, status=200 if ok else 400)
