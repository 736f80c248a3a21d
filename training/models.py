"""Runs as the web sees them. The truth about a run is its folder (training/engine); a row is its index card."""

import uuid
from pathlib import Path

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from labeling.models import Dataset
from models_registry.models import Version
from people.models import User

from .engine import methods


class Run(models.Model):
    class State(models.TextChoices):
        QUEUED = "queued", _("queued")
        RUNNING = "running", _("running")
        STOPPING = "stopping", _("stopping")
        STOPPED = "stopped", _("stopped")
        COMPLETE = "complete", _("complete")
        FAILED = "failed", _("failed")
        REFUSED = "refused", _("refused")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=120)
    method = models.CharField(max_length=32)
    config = models.JSONField(default=dict)
    seed = models.PositiveIntegerField(default=0)
    state = models.CharField(max_length=16, choices=State, default=State.QUEUED)
    queue_order = models.BigIntegerField(default=0)
    progress = models.FloatField(default=0)
    eta_seconds = models.FloatField(null=True, blank=True)
    latest = models.JSONField(default=dict)  # the newest value of each curve
    errors = models.JSONField(default=list)  # engine messages [{"id", "text", "params"}]: why it failed or was refused
    pid = models.PositiveIntegerField(null=True, blank=True)  # of the process group
    attempt = models.PositiveIntegerField(default=0)  # how often it was begun
    output_name = models.SlugField(max_length=80, blank=True)  # the model that the result becomes a version of
    produced = models.ForeignKey(Version, null=True, blank=True, on_delete=models.PROTECT, related_name="made_by")
    deleted_version = models.CharField(max_length=100, blank=True)  # what it made, once that was deleted
    created_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["state", "queue_order"])]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("run", args=[self.pk])

    @property
    def folder(self) -> Path:
        return Path(settings.RUNS) / str(self.id)

    @property
    def is_active(self) -> bool:
        return self.state in {self.State.QUEUED, self.State.RUNNING, self.State.STOPPING}

    @property
    def is_resumable(self) -> bool:
        return self.state in {self.State.STOPPED, self.State.FAILED}

    @property
    def method_title(self) -> str:
        """The method as people read it; its bare name where there is no such method any more."""
        return gettext(methods.facts_of(self.method).title) if self.method in methods.names() else self.method

    @property
    def percent(self) -> int:
        return int(100 * self.progress)

    @property
    def makes_version(self) -> bool:
        """Whether its result becomes a version; one that only judges leaves figures."""
        return self.method not in methods.names() or methods.facts_of(self.method).result is not None

    @property
    def awaits_registration(self) -> bool:
        """Whether it is complete, and its result is no version yet and was none before."""
        unknown = self.produced_id is None and not self.deleted_version
        return self.state == self.State.COMPLETE and unknown and self.makes_version


class Limits(models.Model):
    """What people set for all runs together; there is one row at most. Empty: as the deployment has it."""

    at_a_time = models.PositiveSmallIntegerField(null=True, blank=True)
    disk_gb = models.FloatField(null=True, blank=True)  # of all folders of runs; empty: no limit


class RunInput(models.Model):
    """What a run started from: `role` is a key of run.json's "inputs" (base, dataset, reward_model, …)."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="inputs")
    role = models.CharField(max_length=32)
    version = models.ForeignKey(Version, null=True, blank=True, on_delete=models.PROTECT, related_name="used_by")
    dataset = models.ForeignKey(Dataset, null=True, blank=True, on_delete=models.PROTECT, related_name="used_by")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run", "role"], name="input_role_once"),
            models.CheckConstraint(
                condition=Q(version__isnull=False, dataset__isnull=True)
                | Q(version__isnull=True, dataset__isnull=False),
                name="input_is_version_or_dataset",
            ),
        ]


from .comparisons.models import Comparison, Entry, Trial  # noqa: E402, F401  Django finds an app's tables here
from .policies.models import FreshPairs, Verdict  # noqa: E402, F401
