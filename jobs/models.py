"""Short jobs (imports, sampling, exports) as people see them: progress, cancel, result, error in plain words."""

import uuid
from datetime import timedelta

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from people.models import User

from . import registry

LONG_WAIT = timedelta(seconds=20)


class Job(models.Model):
    """A short job's face for people: progress, cancel, result. The work itself is a Django Task named by `task_id`."""

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        RUNNING = "running", _("running")
        DONE = "done", _("done")
        FAILED = "failed", _("failed")
        CANCELLED = "cancelled", _("cancelled")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    what = models.CharField(max_length=40)  # "sample", "import", …
    subject = models.CharField(max_length=80, blank=True, db_index=True)  # what it is about: "labeling.project:12"
    arguments = models.JSONField(default=dict)
    task_id = models.CharField(max_length=64, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)  # how often a worker has begun it
    state = models.CharField(max_length=16, choices=State, default=State.WAITING)
    note = models.CharField(max_length=200, blank=True)  # what it is doing just now, in words
    done = models.PositiveIntegerField(default=0)
    total = models.PositiveIntegerField(default=0)
    cancel_requested = models.BooleanField(default=False)
    result = models.JSONField(
        default=dict
    )  # {"message", "url", "notes": [...]} are shown to people, the rest is for programs
    error = models.TextField(blank=True)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]

    @property
    def is_active(self) -> bool:
        return self.state in {self.State.WAITING, self.State.RUNNING}

    @property
    def waits_long(self) -> bool:
        """So long that people wonder whether anybody will take it up."""
        return self.state == self.State.WAITING and timezone.now() - self.created_at > LONG_WAIT

    @property
    def can_be_cancelled(self) -> bool:
        return registry.declared(self.what).can_be_cancelled

    @property
    def title(self) -> str:
        return registry.declared(self.what).title
