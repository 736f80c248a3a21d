"""Projects, what is to be ranked, and the rankings. Data and invariants only: changes of state are verbs in actions.py.

Terms: a *prompt* has *completions*; a *task* shows 2..9 completions of one prompt in a canonical order; an *assignment* is
one person's turn at a task, in a numbered slot of it; a *ranking* is what they said, revision by revision.
"""

import uuid
from pathlib import Path

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from models_registry.models import Version
from people.models import Role, User


class Project(models.Model):
    class State(models.TextChoices):
        OPEN = "open", _("open")
        PAUSED = "paused", _("paused")
        ARCHIVED = "archived", _("archived")

    name = models.CharField(max_length=120)
    slug = models.SlugField(max_length=80, unique=True)
    description = models.TextField(blank=True)
    guidelines = models.TextField(blank=True)
    state = models.CharField(max_length=16, choices=State, default=State.OPEN)
    outputs_per_task = models.PositiveSmallIntegerField(
        default=4, validators=[MinValueValidator(2), MaxValueValidator(9)]
    )
    overlap = models.PositiveSmallIntegerField(default=1, validators=[MinValueValidator(1), MaxValueValidator(100)])
    allow_partial = models.BooleanField(default=False)
    acceptability_line = models.BooleanField(default=False)
    lease_seconds = models.PositiveIntegerField(default=1800, validators=[MinValueValidator(30)])
    heldout_percent = models.PositiveSmallIntegerField(default=20, validators=[MaxValueValidator(90)])
    open_to_all = models.BooleanField(default=False)  # every signed-in annotator may rank, without a membership
    is_demo = models.BooleanField(default=False)
    next_position = models.PositiveBigIntegerField(default=1)  # the tail of the queue of tasks
    created_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("project", args=[self.slug])


class Membership(models.Model):
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=16, choices=Role, default=Role.ANNOTATOR)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "user"], name="one_membership")]


class Split(models.TextChoices):
    TRAIN = "train", _("train")
    HELDOUT = "heldout", _("held-out")


class Prompt(models.Model):
    """`content` is a string or a list of chat messages; `digest` is its identity inside the project."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="prompts")
    content = models.JSONField()
    digest = models.CharField(max_length=64)
    split = models.CharField(max_length=8, choices=Split, default=Split.TRAIN)
    external_id = models.CharField(max_length=200, blank=True)
    meta = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "digest"], name="prompt_once")]
        indexes = [models.Index(fields=["project", "external_id"])]


class Completion(models.Model):
    """One output. `version` or `source` says who wrote it; neither is ever shown on the board."""

    prompt = models.ForeignKey(Prompt, on_delete=models.CASCADE, related_name="completions")
    text = models.TextField(blank=True)
    digest = models.CharField(max_length=64)
    version = models.ForeignKey(Version, null=True, blank=True, on_delete=models.PROTECT, related_name="completions")
    source = models.CharField(max_length=200, blank=True)
    sampling = models.JSONField(default=dict)  # {"seed", "temperature", "top_p", "max_tokens", "index", "finish"}
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["prompt", "digest"])]


class Task(models.Model):
    class State(models.TextChoices):
        OPEN = "open", _("open")
        COMPLETE = "complete", _("complete")
        REVIEW = "review", _("closed for review")

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="tasks")
    prompt = models.ForeignKey(Prompt, on_delete=models.CASCADE, related_name="tasks")
    key = models.CharField(max_length=64)  # hash of prompt and completions: importing twice makes no second task
    state = models.CharField(max_length=16, choices=State, default=State.OPEN)
    overlap = models.PositiveSmallIntegerField()
    free_slots = models.PositiveSmallIntegerField()
    priority = models.SmallIntegerField(default=0)
    position = models.PositiveBigIntegerField()  # place in the project's queue; a reopened task goes to the tail
    score = models.FloatField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "key"], name="task_once"),
            models.CheckConstraint(condition=Q(free_slots__lte=models.F("overlap")), name="free_slots_within_overlap"),
        ]
        indexes = [
            models.Index(
                fields=["project", "-priority", "position"],
                condition=Q(state="open", free_slots__gt=0),
                name="task_queue",
            )
        ]


class TaskItem(models.Model):
    """The canonical order of a task's outputs: letter A is position 0."""

    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="items")
    completion = models.ForeignKey(Completion, on_delete=models.PROTECT, related_name="+")
    position = models.PositiveSmallIntegerField()
    duplicate_of = models.PositiveSmallIntegerField(
        null=True, blank=True
    )  # position of the first item of the same text

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["task", "position"], name="item_position_once"),
            models.UniqueConstraint(fields=["task", "completion"], name="item_completion_once"),
        ]


class QueueCursor(models.Model):
    """How far a person has walked down a project's queue: finding the next task never looks at what lies behind."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    annotator = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    priority = models.SmallIntegerField()
    position = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "annotator", "priority"], name="one_cursor_per_priority")
        ]


class Assignment(models.Model):
    """One person's turn at a task. A slot is held while claimed or submitted; every other state has none.

    `display` is the order shown: display[i] is the canonical position of the output with letter i.
    """

    class State(models.TextChoices):
        CLAIMED = "claimed", _("claimed")
        SUBMITTED = "submitted", _("submitted")
        SPARE = "spare", _("spare")
        SKIPPED = "skipped", _("skipped")
        FLAGGED = "flagged", _("flagged")
        EXPIRED = "expired", _("expired")

    class Flag(models.TextChoices):
        NOT_COMPARABLE = "not_comparable", _("not comparable")
        GARBLED = "garbled", _("garbled")
        UNSAFE = "unsafe", _("unsafe")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)  # shown in addresses: says nothing
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="assignments")
    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="assignments")
    annotator = models.ForeignKey(User, on_delete=models.PROTECT, related_name="assignments")
    repeat = models.PositiveSmallIntegerField(default=0)
    slot = models.PositiveSmallIntegerField(null=True, blank=True)
    state = models.CharField(max_length=16, choices=State, default=State.CLAIMED)
    display = models.JSONField()
    reason = models.CharField(max_length=500, blank=True)  # of a skip; or a Flag, with what was written behind ": "
    claimed_at = models.DateTimeField()
    lease_until = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    imported = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["task", "slot"], condition=Q(slot__isnull=False), name="slot_once"),
            models.UniqueConstraint(fields=["task", "annotator", "repeat"], name="judgement_once"),
            models.CheckConstraint(
                condition=Q(slot__isnull=False, state__in=["claimed", "submitted"])
                | Q(slot__isnull=True, state__in=["spare", "skipped", "flagged", "expired"]),
                name="slot_held_only_while_it_counts",
            ),
            # One open task a person and project: two tabs show the same one.
            models.UniqueConstraint(
                fields=["project", "annotator"], condition=Q(state="claimed"), name="one_claim_at_a_time"
            ),
        ]
        indexes = [
            models.Index(fields=["project", "lease_until"], condition=Q(state="claimed"), name="overdue_leases"),
            models.Index(fields=["annotator", "project", "-finished_at"], name="own_history"),
        ]


class Ranking(models.Model):
    """What a person said about a task. Immutable: a changed mind is a new revision, the old one stays.

    `tiers` holds completion ids, best tier first; `line` is the number of tiers above the acceptability line; `rest` holds the ids
    behind `*`. `notation` is the same in the task's canonical letters.
    """

    assignment = models.ForeignKey(Assignment, on_delete=models.CASCADE, related_name="rankings")
    revision = models.PositiveSmallIntegerField(default=1)
    current = models.BooleanField(default=True)
    tiers = models.JSONField()
    line = models.PositiveSmallIntegerField(null=True, blank=True)
    rest = models.JSONField(default=list)
    notation = models.CharField(max_length=64)
    client_key = models.CharField(max_length=64, unique=True)  # made by the browser: a repeated submit is the same one
    seconds = models.FloatField(null=True, blank=True)  # of active work, as the browser measured
    comment = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["assignment", "revision"], name="revision_once"),
            models.UniqueConstraint(fields=["assignment"], condition=Q(current=True), name="one_current_revision"),
        ]


class Dataset(models.Model):
    """Immutable, hashed rows of one kind (DatasetKind), uploaded or frozen from a project (then it is a *snapshot*)."""

    class Kind(models.TextChoices):
        TEXT = "text", _("text")
        SFT = "sft", _("prompts with completions")
        LABELLED = "labelled", _("labelled texts")
        PROMPTS = "prompts", _("prompts")
        RANKINGS = "rankings", _("rankings")

    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=16, choices=Kind)
    digest = models.CharField(max_length=64, unique=True)  # sha256 of the manifest
    manifest = models.JSONField(
        default=dict
    )  # {"files": [...], "rows", "splits", and for a snapshot: project, counts, people}
    rows = models.PositiveBigIntegerField(default=0)
    splits = models.JSONField(default=dict)  # {"train": n, "heldout": n}
    size = models.PositiveBigIntegerField(default=0)
    project = models.ForeignKey(Project, null=True, blank=True, on_delete=models.PROTECT, related_name="snapshots")
    created_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return f"{self.name} ({self.digest[:8]})"

    def get_absolute_url(self) -> str:
        return reverse("dataset", args=[self.pk])

    @property
    def folder(self) -> Path:
        """Holds `data.jsonl` (each row with its `split`) and `manifest.json`."""
        return Path(settings.DATASETS) / self.digest
