"""Projects, what is to be ranked, the rankings, and what is said about them. Data and invariants only: changes of state are verbs in actions.py.

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
from people.models import Invitation, Role, User

MOST_PEOPLE = 100  # who rank a task
LEAST_PRIORITY, GREATEST_PRIORITY = -1000, 1000
LONGEST_EXPLANATION = 5000  # of a known answer, in characters


def default_priorities() -> list[int]:
    return [0]


def default_lanes() -> list[str]:
    return [""]


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
    overlap = models.PositiveSmallIntegerField(
        default=1, validators=[MinValueValidator(1), MaxValueValidator(MOST_PEOPLE)]
    )
    # Adaptive overlap: a task whose rankings agree less than `contested_below` (mean pairwise tau-x) goes on to up to so many people.
    overlap_max = models.PositiveSmallIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(MOST_PEOPLE)]
    )
    contested_below = models.FloatField(default=0.5, validators=[MinValueValidator(-1), MaxValueValidator(1)])
    allow_partial = models.BooleanField(default=False)
    acceptability_line = models.BooleanField(default=False)
    lease_seconds = models.PositiveIntegerField(default=1800, validators=[MinValueValidator(30)])
    heldout_percent = models.PositiveSmallIntegerField(default=20, validators=[MaxValueValidator(90)])
    open_to_all = models.BooleanField(default=False)  # every signed-in annotator may rank, without a membership
    questions = models.JSONField(default=list, blank=True)  # asked beside the ranking: labeling/questions.py
    content_warning = models.TextField(
        blank=True
    )  # shown before the first task; who does not want to may leave out sensitive ones
    daily_goal = models.PositiveIntegerField(
        null=True, blank=True
    )  # rankings a person and day; a desk may have its own
    shows_agreement = models.BooleanField(default=False)  # annotators see how far they agree with others
    # Of the tasks that somebody gets, how many per cent are gold tasks, or tasks they have had before.
    gold_percent = models.PositiveSmallIntegerField(default=10, validators=[MaxValueValidator(50)])
    repeat_percent = models.PositiveSmallIntegerField(default=0, validators=[MaxValueValidator(50)])
    # Whose last gold tasks keep less than this share of the constraints gets a pause; who keeps less in the qualification does not begin.
    gold_minimum = models.FloatField(default=0.7, validators=[MinValueValidator(0), MaxValueValidator(1)])
    qualification_minimum = models.FloatField(default=0.8, validators=[MinValueValidator(0), MaxValueValidator(1)])
    random_percent = models.PositiveSmallIntegerField(
        default=20, validators=[MaxValueValidator(100)]
    )  # of the queue in active order: drawn at random, so that figures from them are honest
    is_demo = models.BooleanField(default=False)
    # Where the next task joins the queue. Taken by an UPDATE of this row, so that positions are committed in their order: a
    # person who has walked to position n will never miss one below n.
    next_position = models.PositiveBigIntegerField(default=1)
    priorities = models.JSONField(default=default_priorities)  # those in use, highest first
    lanes = models.JSONField(default=default_lanes)  # those in use
    known_kinds = models.JSONField(
        default=list
    )  # kinds of tasks with a known answer that there are: else nobody looks for one
    active_order = models.BooleanField(default=False)  # the queue stands in the order of scores, not of arrival
    created_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("project", args=[self.slug])

    def name_of(self, person: User) -> str:
        """Without the project's own, where an import made them."""
        return str(person).removeprefix(f"{self.slug}/")


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


class Batch(models.Model):
    """A round of tasks that come and pause together."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="batches", db_index=False)
    name = models.CharField(max_length=120)
    paused = models.BooleanField(default=False)
    created_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="batch_name_once")]

    def __str__(self) -> str:
        return self.name


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

    `kind` other than normal: a task with a known answer (GoldAnswer). It stands in no queue (`free_slots` is 0) and its turns count for no overlap
    (Assignment.aside): everybody may get it, at a time that collecting chooses.
    `lane` is whose queue it stands in: "" everybody's, "u12" that person's, "g3" that group's; a "!" behind it: only who takes sensitive tasks.
    """

    class State(models.TextChoices):
        OPEN = "open", _("open")
        COMPLETE = "complete", _("complete")
        REVIEW = "review", _("closed for review")
        HELD = "held", _("paused with its batch")

    class Kind(models.TextChoices):
        NORMAL = "normal", _("to be ranked")
        GOLD = "gold", _("gold")
        PRACTICE = "practice", _("practice")
        QUALIFICATION = "qualification", _("qualification")

    class Chosen(models.TextChoices):
        """How an active order came to its place in the queue."""

        SCORE = "score", _("by its score")
        RANDOM = "random", _("at random")

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="tasks", db_index=False)
    prompt = models.ForeignKey(Prompt, on_delete=models.CASCADE, related_name="tasks")
    key = models.CharField(max_length=64)  # hash of prompt and completions: importing twice makes no second task
    state = models.CharField(max_length=16, choices=State, default=State.OPEN)
    size = models.PositiveSmallIntegerField()  # how many outputs
    overlap = models.PositiveSmallIntegerField()
    free_slots = models.PositiveSmallIntegerField()
    submitted = models.PositiveSmallIntegerField(default=0)
    priority = models.SmallIntegerField(default=0)
    extra = models.PositiveSmallIntegerField(default=0)  # of the overlap: slots added because the rankings disagree
    position = models.PositiveBigIntegerField(null=True)
    score = models.FloatField(null=True, blank=True)
    kind = models.CharField(max_length=13, choices=Kind, default=Kind.NORMAL)
    lane = models.CharField(max_length=24, blank=True, default="")
    sensitive = models.BooleanField(default=False)
    batch = models.ForeignKey(Batch, null=True, blank=True, on_delete=models.PROTECT, related_name="tasks")
    chosen = models.CharField(max_length=6, choices=Chosen, blank=True, default="")
    # A reviewer has the last word: closed, whatever the flags say; or open again, with so many people's flags behind it.
    closed_in_review = models.BooleanField(default=False)
    flags_dismissed = models.PositiveSmallIntegerField(default=0)
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
                fields=["project", "lane", "priority", "position"],
                condition=Q(position__isnull=False),
                name="task_queue_by_lane",
            ),
            models.Index(fields=["project", "state"]),
            models.Index(fields=["project", "kind"], condition=~Q(kind="normal"), name="tasks_with_an_answer"),
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


class GoldAnswer(models.Model):
    """What is known about the order of a task's outputs: constraints in the notation of labeling/constraints.py, canonical letters."""

    task = models.OneToOneField(Task, on_delete=models.CASCADE, related_name="gold_answer", primary_key=True)
    constraints = models.CharField(max_length=300)
    explanation = models.TextField(blank=True)  # shown after a practice task
    set_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    set_at = models.DateTimeField(auto_now=True)


class Desk(models.Model):
    """One person's place in one project: how far they have walked down the queue, and how much they have done.

    `cursors`: {lane/priority: position}. Finding the next task never looks at what lies behind; counting never looks at all that was done.
    """

    class Stage(models.TextChoices):
        NEW = "new", _("new")
        PRACTICE = "practice", _("practising")
        QUALIFICATION = "qualification", _("qualifying")
        WORKING = "working", _("working")

    class Pause(models.TextChoices):
        GOLD = "gold", _("gold tasks")
        QUALIFICATION = "qualification", _("qualification")
        ADMIN = "admin", _("by an admin")

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="desks", db_index=False)
    annotator = models.ForeignKey(User, on_delete=models.CASCADE, related_name="desks")
    cursors = models.JSONField(default=dict)
    done = models.PositiveIntegerField(default=0)  # rankings submitted
    day = models.DateField(null=True)
    done_that_day = models.PositiveIntegerField(default=0)
    stage = models.CharField(max_length=13, choices=Stage, default=Stage.NEW)
    attempt = models.PositiveSmallIntegerField(default=0)  # at practice and qualification: the `repeat` of those turns
    paused_because = models.CharField(max_length=13, choices=Pause, blank=True, default="")
    paused_at = models.DateTimeField(null=True, blank=True)
    until_gold = models.PositiveSmallIntegerField(null=True)  # turns until the next gold task; drawn anew each time
    until_repeat = models.PositiveSmallIntegerField(null=True)
    gold_scores = models.JSONField(default=list)  # of the last gold tasks, oldest first
    daily_goal = models.PositiveIntegerField(null=True, blank=True)  # instead of the project's
    warned_at = models.DateTimeField(null=True, blank=True)  # when the content warning was accepted
    takes_sensitive = models.BooleanField(default=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "annotator"], name="one_desk")]


class Assignment(models.Model):
    """One person's turn at a task. A slot is held while claimed or submitted; every other state has none.

    `display` is the order shown: display[i] is the canonical position of the output with letter i. A turn `aside` counts for no overlap and has no
    slot: one at a task with a known answer, or a repeat that was offered to see how far people agree with themselves.
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
    # Of active work until it was skipped or flagged, also if that was called back; work on a ranking stands with the ranking.
    seconds = models.FloatField(null=True, blank=True)
    claimed_at = models.DateTimeField()
    lease_until = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    revisions = models.PositiveSmallIntegerField(default=0)  # how many rankings it has
    imported = models.BooleanField(default=False)
    aside = models.BooleanField(default=False)
    gold_score = models.FloatField(null=True, blank=True)  # share of the constraints kept, 0..1

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["task", "slot"], condition=Q(slot__isnull=False), name="slot_once"),
            models.UniqueConstraint(fields=["task", "annotator", "repeat"], name="judgement_once"),
            models.CheckConstraint(
                condition=Q(slot__isnull=False, aside=False, state__in=["claimed", "submitted"])
                | Q(slot__isnull=True, state__in=["spare", "skipped", "flagged", "expired"])
                | Q(slot__isnull=True, aside=True),
                name="slot_held_while_it_counts",
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
    answers = models.JSONField(
        default=dict
    )  # to the project's questions: {"task": {key: value}, "outputs": {completion id: {key: value}}}
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["assignment", "revision"], name="revision_once"),
            models.UniqueConstraint(fields=["assignment"], condition=Q(current=True), name="one_current_revision"),
        ]


class Adjudication(models.Model):
    """What a reviewer decided about a contested task, beside the rankings, which stay as they are. Immutable; a new one replaces the current one."""

    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="adjudications", db_index=False)
    revision = models.PositiveSmallIntegerField(default=1)
    current = models.BooleanField(default=True)
    tiers = models.JSONField()  # as in Ranking
    line = models.PositiveSmallIntegerField(null=True, blank=True)
    rest = models.JSONField(default=list)
    notation = models.CharField(max_length=64)
    reason = models.TextField(blank=True)
    by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["task", "revision"], name="adjudication_revision_once"),
            models.UniqueConstraint(fields=["task"], condition=Q(current=True), name="one_current_adjudication"),
        ]


class Comment(models.Model):
    """Part of the talk about a task. A question comes from somebody at the board and waits for an answer until it is resolved.

    What `answers` a question may be read by who asked it; remarks without one are for reviewers.
    """

    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="comments", db_index=False)
    author = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    text = models.TextField()
    is_question = models.BooleanField(default=False)
    answers = models.ForeignKey("self", null=True, blank=True, on_delete=models.CASCADE, related_name="answered_by")
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolved_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["created_at", "pk"]
        indexes = [models.Index(fields=["task", "created_at"])]


class ProjectInvitation(models.Model):
    """The project that people join who accept an invitation."""

    invitation = models.OneToOneField(
        Invitation, on_delete=models.CASCADE, related_name="to_project", primary_key=True
    )
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="invitations")
    role = models.CharField(max_length=16, choices=Role, default=Role.ANNOTATOR)


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
    adjudications = models.ManyToManyField(Adjudication, related_name="snapshots")
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


from labeling.opinions.models import Disagreement, Opinion  # noqa: E402, F401  Django finds an app's tables here
