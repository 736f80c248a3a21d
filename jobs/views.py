"""Pages of short jobs: one page to come back to, and the fragment that any page can hold and htmx polls."""

import json

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from people.errors import Refusal
from people.permissions import signed_in

from . import actions
from .models import Job
from .queries import may_see


def _visible(request: HttpRequest, pk) -> Job:
    job = get_object_or_404(Job.objects.select_related("created_by"), pk=pk)
    if not may_see(request.user, job):
        raise Refusal(_("This was started by someone else, and your role does not open it."), status=403)
    return job


@require_GET
@signed_in  # whose job it is decides then
def job_page(request: HttpRequest, pk) -> HttpResponse:
    return _answer(request, _visible(request, pk))


@require_POST
@signed_in
def cancel(request: HttpRequest, pk) -> HttpResponse:
    return _answer(request, actions.request_cancel(actor=request.user, job=_visible(request, pk)))


def _answer(request: HttpRequest, job: Job) -> HttpResponse:
    """The fragment for htmx, the whole page otherwise. When the job has ended, `job-ended` tells the page around it."""
    response = render(request, "jobs/job.html" if request.htmx else "jobs/page.html", {"job": job})
    if request.htmx and not job.is_active:
        response["HX-Trigger"] = json.dumps({"job-ended": {"id": str(job.pk), "what": job.what, "state": job.state}})
    return response
