"""The policies of a run on its page: the picture and the table, which come anew as people rank; and what can be done with them."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from models_registry.queries import scorers
from people.errors import Refusal
from people.permissions import Right, requires

from ..models import Run
from . import actions
from .panel import Panel
from .queries import projects_for


@require_GET
@requires(Right.SEE_RUNS)
def panel(request: HttpRequest, pk) -> HttpResponse:
    """For htmx: picture and table, if anything of them has changed since `seen`."""
    if request.htmx and not Run.objects.filter(pk=pk).exists():  # deleted: the page says so, and asks no more
        return HttpResponse(status=204, headers={"HX-Refresh": "true"})
    shown = Panel(get_object_or_404(Run, pk=pk), request.user)
    if request.GET.get("seen") == shown.seen:
        return HttpResponse(status=204)
    return render(request, "training/policies/now.html", {"run": shown.run, "panel": shown})


@require_POST
@requires(Right.LAUNCH_RUNS)
def register(request: HttpRequest, pk, step: int) -> HttpResponse:
    run = get_object_or_404(Run, pk=pk)
    version = actions.register_policy(actor=request.user, run=run, step=step)
    text = _("The policy after update %(step)s is %(version)s.")
    messages.success(request, text % {"step": step, "version": version})
    return redirect(version)


@require_POST
@requires(Right.LAUNCH_RUNS)
def send(request: HttpRequest, pk) -> HttpResponse:
    run, sent = get_object_or_404(Run, pk=pk), request.POST
    project = projects_for(request.user).filter(slug=sent.get("project", "")).first()
    if project is None:
        raise Refusal(_("Choose the project whose people shall rank the pairs."))
    numbers = {name: sent.get(name, "").strip() for name in ("step", "number")}
    if not all(text.isdecimal() and len(text) < 9 for text in numbers.values()):
        raise Refusal(_("How many pairs, and of which policy, must be whole numbers."))
    actions.send_pairs(
        actor=request.user,
        run=run,
        project=project,
        batch=sent.get("batch", ""),
        **{name: int(text) for name, text in numbers.items()},
    )
    return redirect(f"{reverse('run', args=[run.pk])}#policies")


@require_POST
@requires(Right.TRY_MODELS)
def judge(request: HttpRequest, pk) -> HttpResponse:
    run = get_object_or_404(Run, pk=pk)
    key = request.POST.get("judge", "")
    chosen = scorers().filter(pk=key).first() if key.isdecimal() and len(key) < 9 else None
    if chosen is None:
        raise Refusal(_("Choose the reward model that shall judge."))
    actions.ask_judge(actor=request.user, run=run, judge=chosen)
    return redirect(f"{reverse('run', args=[run.pk])}#policies")
