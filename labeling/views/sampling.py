"""Sample outputs of registered models for a project's prompts."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from labeling import actions
from labeling.forms.filling import SampleForm
from labeling.models import Project
from labeling.project_queries import recent_job
from labeling.views.lists import posted
from people.errors import Refusal
from people.permissions import Right, requires


@require_http_methods(["GET", "POST"])
@requires(Right.SAMPLE_MODELS)
def sample(request: HttpRequest, slug: str) -> HttpResponse:
    """What to sample, and how the last sampling goes or went."""
    project = get_object_or_404(Project, slug=slug)
    form = SampleForm(*posted(request), project=project)
    problems: list[str] = []
    if request.method == "POST" and form.is_valid():
        try:
            batch = form.cleaned_data["batch"]
            actions.start_sampling(actor=request.user, project=project, plan=form.plan(), batch=batch)
            messages.info(request, _("Sampling has begun. You can leave this page; it goes on."))
            return redirect("project-sample", project.slug)
        except Refusal as refusal:
            problems = list(refusal.problems)
    context = {
        "project": project,
        "tab": "sample",
        "form": form,
        "problems": problems,
        "prompts": project.prompts.count(),
        "any_version": form.fields["versions"].queryset.exists(),
        "job": recent_job(project, "sample"),
    }
    return render(request, "labeling/sample.html", context, status=400 if form.is_bound else 200)
