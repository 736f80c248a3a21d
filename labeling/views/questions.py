"""The question editor: what a project asks beside the ranking. Every button posts the whole form; only "Save" changes the project."""

import json

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from labeling import actions, places
from labeling import questions as asked
from labeling.forms import questions as editor
from labeling.models import Project, Ranking
from labeling.project_settings import answered
from people.errors import Refusal
from people.permissions import Right, requires


@require_http_methods(["GET", "POST"])
@requires(Right.MANAGE_PROJECTS, place=places.project)
def questions(request: HttpRequest, slug: str) -> HttpResponse:
    project = get_object_or_404(Project, slug=slug)
    counts = answered(project)
    draft, problems = list(project.questions), []
    do = request.POST.get("do", "")
    if request.method == "POST":
        draft = editor.read(request.POST)
        if do == "save":
            draft = editor.with_keys(draft, project.questions, counts)
            try:
                actions.change_project(actor=request.user, project=project, questions=draft)
                messages.success(request, _("The questions are saved. The next task asks them."))
                return redirect("project-questions", project.slug)
            except Refusal as refusal:
                problems = list(refusal.problems)
        else:
            draft, problems = editor.edited(draft, do, request.POST)
    context = {
        "project": project,
        "tab": "settings",
        "part": "questions",
        "rows": [_row(question, counts[str(question.get("key"))]) for question in draft],
        "sample": sorted(_readable(draft), key=lambda question: question.scope == asked.TASK),
        "presets": asked.PRESETS,
        "kinds": asked.KINDS,
        "scopes": asked.SCOPES,
        "as_json": request.POST.get("json", "")
        if problems and do == "json"
        else json.dumps(draft, ensure_ascii=False, indent=2),
        "json_wrong": bool(problems) and do == "json",
        "answers": Ranking.objects.filter(assignment__project=project).exclude(answers={}).count(),
        "saved": draft == project.questions,
        "wrong": problems,
        "api_address": reverse("api-project", args=[project.slug]),
    }
    return render(request, "labeling/questions.html", context, status=400 if problems else 200)


def _readable(draft: editor.Draft) -> list[asked.Question]:
    """Those of a draft that can be shown as the board will ask them; a key is not needed for that."""
    shown = []
    for number, question in enumerate(draft):
        with_key = question | {"key": question.get("key") or f"new{number}"}
        if not asked.problems_with([with_key]):
            shown += asked.read([with_key])
    return shown


def _row(question: dict, answers: int) -> dict:
    """A question as the form shows it: options as lines, and how many rankings answer it already."""
    options = question.get("options", [])
    lines = "\n".join(map(str, options)) if isinstance(options, list) else str(options)
    return question | {"lines": lines, "answers": answers, "has_options": question.get("kind") in asked.WITH_OPTIONS}
