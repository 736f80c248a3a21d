"""Projects, what is to be ranked, and the rankings. Data and invariants only: changes of state are verbs in actions.py.

Terms: a *prompt* has *completions*; a *task* shows 2..9 completions of one prompt in a canonical order; an *assignment* is
one person's turn at a task, in a numbered slot of it; a *ranking* is what they said, revision by revision.

A foreign key without an index of its own (`db_index=False`) is the beginning of a constraint or index of its table already: each index less is a
page less to write at every submit.
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


def default_priorities() -> list[int]:
    return [0]


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
    # Where the next task joins the queue. Taken by an UPDATE of this row, so that positions are committed in their order: a
    # person who has walked to position n will never miss one below n.
    next_position = models.PositiveBigIntegerField(default=1)
    priorities = models.JSONField(default=default_priorities)  # those in use, highest first
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

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="prompts", db_index=False)
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

    prompt = models.ForeignKey(Prompt, on_delete=models.CASCADE, related_name="completions", db_index=False)
    text = models.TextField(blank=True)
    digest = models.CharField(max_length=64)
    version = models.ForeignKey(Version, null=True, blank=True, on_delete=models.PROTECT, related_name="completions")
    source = models.CharField(max_length=200, blank=True)
    sampling = models.JSONField(default=dict)  # {"seed", "temperature", "top_p", "max_tokens", "index", "finish"}
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["prompt", "digest"])]


class Task(models.Model):
    """Completions of one prompt, to be ranked by `overlap` people.

    `free_slots` + the assignments that hold a slot = `overlap`, always; `submitted` of those have a ranking. `position` is the
    place in the project's queue: a task has one exactly while somebody could take it (open, with a free slot), and gets a new one at
    the tail when a slot is given back.
    """

    class State(models.TextChoices):
        OPEN = "open", _("open")
        COMPLETE = "complete", _("complete")
        REVIEW = "review", _("closed for review")

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="tasks", db_index=False)
    prompt = models.ForeignKey(Prompt, on_delete=models.CASCADE, related_name="tasks")
    key = models.CharField(max_length=64)  # hash of prompt and completions: importing twice makes no second task
    state = models.CharField(max_length=16, choices=State, default=State.OPEN)
    size = models.PositiveSmallIntegerField()  # how many outputs
    overlap = models.PositiveSmallIntegerField()
    free_slots = models.PositiveSmallIntegerField()
    submitted = models.PositiveSmallIntegerField(default=0)
    priority = models.SmallIntegerField(default=0)
    position = models.PositiveBigIntegerField(null=True)
    score = models.FloatField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "key"], name="task_once"),
            models.CheckConstraint(
                condition=Q(overlap__gte=models.F("free_slots") + models.F("submitted")), name="slots_within_overlap"
            ),
            models.CheckConstraint(
                condition=Q(position__isnull=False, state="open", free_slots__gt=0)
                | (Q(position__isnull=True) & (~Q(state="open") | Q(free_slots=0))),
                name="queued_while_it_can_be_taken",
            ),
        ]
        indexes = [
            models.Index(
                fields=["project", "priority", "position"], condition=Q(position__isnull=False), name="task_queue"
            ),
            models.Index(fields=["project", "state"]),
        ]


class TaskItem(models.Model):
    """The canonical order of a task's outputs: letter A is position 0."""

    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="items", db_index=False)
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


class Desk(models.Model):
    """One person's place in one project: how far they have walked down the queue, and how much they have done.

    `cursors`: {priority: position}. Finding the next task never looks at what lies behind; counting never looks at all that was done.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="desks", db_index=False)
    annotator = models.ForeignKey(User, on_delete=models.CASCADE, related_name="desks")
    cursors = models.JSONField(default=dict)
    done = models.PositiveIntegerField(default=0)  # rankings submitted
    day = models.DateField(null=True)
    done_that_day = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "annotator"], name="one_desk")]


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
    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="assignments", db_index=False)
    annotator = models.ForeignKey(User, on_delete=models.PROTECT, related_name="assignments", db_index=False)
    repeat = models.PositiveSmallIntegerField(default=0)
    slot = models.PositiveSmallIntegerField(null=True, blank=True)
    state = models.CharField(max_length=16, choices=State, default=State.CLAIMED)
    display = models.JSONField()
    reason = models.CharField(max_length=500, blank=True)  # of a skip; or a Flag, with what was written behind ": "
    claimed_at = models.DateTimeField()
    lease_until = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    revisions = models.PositiveSmallIntegerField(default=0)  # how many rankings it has
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

    assignment = models.ForeignKey(Assignment, on_delete=models.CASCADE, related_name="rankings", db_index=False)
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
    # Those in a snapshot: "which models used this label?"
    rankings = models.ManyToManyField(Ranking, related_name="snapshots")
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
