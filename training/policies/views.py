"""The policies of a run on its page: the picture and the table, which come anew as people rank; and what can be done with them."""

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from charts import draw
from jobs.models import Job
from models_registry.models import Version
from models_registry.queries import scorers
from people.errors import Refusal
from people.models import User
from people.permissions import Right, requires

from .. import reading
from ..models import Run
from . import actions
from .chart import over_optimisation
from .queries import Policies, Standing, judges, newest_job, projects_for, shares_rankings

MOST_JUDGES = 30  # that are offered


@dataclass
class Panel:
    """What the run's page shows of its policies to this person."""

    run: Run
    user: User

    @cached_property
    def found(self) -> Policies:
        return Policies(self.run)

    @property
    def standings(self) -> list[Standing]:
        return self.found.standings

    @property
    def may_come(self) -> bool:
        """Whether policies are kept while the run goes on, and none is there yet."""
        return self.run.is_active and bool(getattr(self.found.config, "keep_along_kl", 0)) and not self.found.all

    @cached_property
    def job(self) -> Job | None:
        return newest_job(self.run)

    @property
    def waits(self) -> bool:
        """Whether there may soon be something new."""
        ranking = any(each.asked and each.asked.waiting for each in self.standings)
        return self.run.is_active or ranking or bool(self.job and self.job.is_active)

    @property
    def seen(self) -> str:
        """Changes with everything that is shown."""
        shown = [(each.policy, each.version and each.version.pk, each.asked, each.judge) for each in self.standings]
        return sha256(repr((shown, self.waits, self.may_come, self.found.judge)).encode()).hexdigest()[:16]

    @property
    def picture(self) -> SafeString | None:
        plot = over_optimisation(reading.events(self.run.folder).series, self.standings)
        return draw([plot])[0] if plot and self.standings else None

    # The forms

    @property
    def last(self) -> int:
        return self.found.all[-1].step

    @property
    def holds_out(self) -> bool:
        dataset = self.found.inputs.get("dataset")
        return bool(dataset and dataset.splits.get("heldout"))

    @property
    def projects(self) -> list[tuple[str, str, bool]]:
        """(slug, name, whether it is the one where the run's rankings come from)."""
        home = self.found.project
        return [(each.slug, each.name, each == home) for each in projects_for(self.user)]

    @property
    def judges(self) -> list[tuple[Version, bool]]:
        """(a reward model, whether it learned from the same rankings)."""
        return [(judge, shares_rankings(judge, self.run)) for judge in judges(self.run)[:MOST_JUDGES]]


@require_GET
@requires(Right.SEE_RUNS)
def panel(request: HttpRequest, pk) -> HttpResponse:
    """For htmx: picture and table, if anything of them has changed since `seen`."""
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
