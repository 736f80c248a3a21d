"""Pages by which a project becomes the start of another one: copied, written to a settings file, read from one."""

import json

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from labeling import export, places
from labeling.actions import copying
from labeling.forms.projects import CopyForm, FileForm
from labeling.models import Project, Task
from people.errors import Refusal, wrong_with
from people.permissions import Right, requires


@require_http_methods(["GET", "POST"])
@requires(Right.MANAGE_PROJECTS, place=places.project)
def copy(request: HttpRequest, slug: str) -> HttpResponse:
    """`do`: copy makes a new project; take brings the settings of a file into this one."""
    project = get_object_or_404(Project, slug=slug)
    do = request.POST.get("do", "")
    name = _("%(name)s, next round") % {"name": project.name}
    copied = CopyForm(request.POST if do == "copy" else None, initial={"name": name[:120]})
    file = FileForm(request.POST, request.FILES) if do == "take" else FileForm()
    problems: list[str] = []
    try:
        if do == "copy" and copied.is_valid():
            made = copying.copy_project(actor=request.user, project=project, **copied.cleaned_data)
            messages.success(
                request, _("The copy is there, without tasks to rank and without people. Next: give it prompts.")
            )
            return redirect(made)
        if do == "take" and file.is_valid():
            copying.settings_from_file(actor=request.user, project=project, content=file.content())
            messages.success(request, _("The settings of the file hold now."))
            return redirect("project-settings", project.slug)
    except Refusal as refusal:
        problems = list(refusal.problems)
    context = {
        "project": project,
        "tab": "settings",
        "part": "copy",
        "copied": copied,
        "file": file,
        "known": project.tasks.exclude(kind=Task.Kind.NORMAL).count(),
        "problems": problems,
    }
    return render(request, "labeling/copy.html", context, status=400 if do else 200)


@require_GET
@requires(Right.MANAGE_PROJECTS, place=places.project)
def settings_file(request: HttpRequest, slug: str) -> HttpResponse:
    """The settings as a JSON file; with ?known=1 the tasks with a known answer too."""
    project = get_object_or_404(Project, slug=slug)
    content = export.export_settings(actor=request.user, project=project, known_answers="known" in request.GET)
    return HttpResponse(
        json.dumps(content, ensure_ascii=False, indent=2),
        content_type="application/json; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{project.slug}.json"'},
    )


@require_POST
@requires(Right.CREATE_PROJECTS)
def new_from_file(request: HttpRequest) -> HttpResponse:
    """A new project as a settings file says."""
    form = FileForm(request.POST, request.FILES)
    if not form.is_valid():
        raise Refusal(wrong_with(form))
    project = copying.create_from_file(actor=request.user, content=form.content(), name=request.POST.get("name", ""))
    messages.success(request, _("The project is there. Next: give it prompts."))
    return redirect(project)
