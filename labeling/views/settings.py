"""Pages that set a project up: a new one, its settings, pausing it."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from labeling import actions, places
from labeling.forms.projects import FileForm, ProjectForm
from labeling.models import Project
from labeling.views.lists import posted
from people.errors import Refusal
from people.permissions import Right, requires


@require_http_methods(["GET", "POST"])
@requires(Right.CREATE_PROJECTS)
def new(request: HttpRequest) -> HttpResponse:
    form = ProjectForm(*posted(request))
    problems: list[str] = []
    if request.method == "POST" and form.is_valid():
        try:
            project = actions.create_project(actor=request.user, **form.settings())
            messages.success(request, _("The project is there. Next: give it prompts."))
            return redirect(project)
        except Refusal as refusal:
            problems = list(refusal.problems)
    context = {"form": form, "file": FileForm(auto_id="file_%s"), "problems": problems}
    return render(request, "labeling/project_new.html", context, status=400 if form.is_bound else 200)


@require_http_methods(["GET", "POST"])
@requires(Right.MANAGE_PROJECTS, place=places.project)
def settings(request: HttpRequest, slug: str) -> HttpResponse:
    project = get_object_or_404(Project, slug=slug)
    # The form writes what was typed into its instance; the page around it shows what holds.
    form = ProjectForm(*posted(request), instance=Project.objects.get(pk=project.pk))
    problems: list[str] = []
    if request.method == "POST" and form.is_valid():
        try:
            actions.change_project(actor=request.user, project=project, **form.settings())
            messages.success(request, _("The settings are saved."))
            return redirect("project-settings", project.slug)
        except Refusal as refusal:
            problems = list(refusal.problems)
    context = {"project": project, "tab": "settings", "part": "settings", "form": form, "problems": problems}
    return render(request, "labeling/project_settings.html", context, status=400 if form.is_bound else 200)


@require_POST
@requires(Right.MANAGE_PROJECTS, place=places.project)
def state(request: HttpRequest, slug: str) -> HttpResponse:
    """Pause, resume or archive."""
    project = get_object_or_404(Project, slug=slug)
    project = actions.change_project(actor=request.user, project=project, state=request.POST.get("state", ""))
    done = {
        Project.State.OPEN: _("The project is open: annotators get tasks."),
        Project.State.PAUSED: _("The project is paused: nobody gets a new task. Rankings under way are still kept."),
        Project.State.ARCHIVED: _("The project is archived. Everything in it stays, and you can open it again."),
    }
    messages.success(request, done[project.state])
    return redirect(project)
