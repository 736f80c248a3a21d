"""What a run's page shows of its policies to somebody: picture, table, and what the forms offer."""

from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

from django.utils.safestring import SafeString

from charts import draw
from jobs.models import Job
from jobs.queries import may_see
from models_registry.models import Version
from people.models import User

from .. import reading
from ..models import Run
from .chart import over_optimisation
from .queries import Policies, Standing, judges, newest_job, projects_for, sharing_rankings

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
    def _newest(self) -> Job | None:
        return newest_job(self.run)

    @property
    def job(self) -> Job | None:
        """What is at work, or has failed last; None for who may not follow it."""
        job = self._newest
        told = job and (job.is_active or job.state == Job.State.FAILED)
        return job if told and may_see(self.user, job) else None

    @cached_property
    def writes_for(self) -> int | None:
        """After which update the policy is whose pairs are being written."""
        key = self.job.arguments.get("pairs") if self.job and self.job.is_active else None
        return self.run.fresh_pairs.filter(pk=key).values_list("step", flat=True).first() if key else None

    @property
    def waits(self) -> bool:
        """Whether there may soon be something new."""
        ranking = any(each.asked and each.asked.to_come for each in self.standings)
        return self.run.is_active or ranking or bool(self._newest and self._newest.is_active)

    @property
    def seen(self) -> str:
        """Changes with everything that is shown."""
        shown = [(each.policy, each.version and each.version.pk, each.asked, each.judge) for each in self.standings]
        everything = shown, self.job and self.job.pk, self.waits, self.may_come, self.found.judge
        return sha256(repr(everything).encode()).hexdigest()[:16]

    @property
    def picture(self) -> SafeString | None:
        plot = over_optimisation(reading.events(self.run.folder).series, self.standings)
        return draw([plot])[0] if plot and self.standings else None

    # The forms

    @property
    def projects(self) -> list[tuple[str, str, bool]]:
        """(slug, name, whether it is the one where the run's rankings come from)."""
        home = self.found.project
        return [(each.slug, each.name, each == home) for each in projects_for(self.user)]

    @property
    def judges(self) -> list[tuple[Version, bool]]:
        """(a reward model, whether it learned from the same rankings)."""
        offered = list(judges(self.run)[:MOST_JUDGES])
        same = sharing_rankings(offered, self.run)
        return [(judge, judge in same) for judge in offered]
