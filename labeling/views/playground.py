"""From the playground into a project: outputs to be ranked."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from labeling import actions
from labeling.models import Project
from models_registry import tickets
from people.permissions import Right, requires


@require_POST
@requires(Right.TRY_MODELS)
def rank_outputs(request: HttpRequest) -> HttpResponse:
    """`project` is a slug, `ticket` comes once an output (models_registry.tickets)."""
    project = get_object_or_404(Project, slug=request.POST.get("project", ""))
    outputs = [tickets.opened(ticket) for ticket in request.POST.getlist("ticket")]
    task = actions.rank_outputs(actor=request.user, project=project, outputs=outputs)
    messages.success(
        request, _("The outputs are a task of %(project)s now, to be ranked blind.") % {"project": project}
    )
    return redirect("project-task", project.slug, task.pk)
