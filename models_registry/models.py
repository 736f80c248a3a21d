"""The registry: a Model is a name people know, a Version is an immutable folder in the store and where it came from."""

from pathlib import Path

from django.db import models
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from people.models import User

from . import store


class Kind(models.TextChoices):
    FULL = "full", _("full weights")
    ADAPTER = "adapter", _("adapter")
    SOFT_PROMPT = "soft_prompt", _("soft prompt")
    HARD_PROMPT = "hard_prompt", _("hard prompt")
    REMOTE = "remote", _("remote endpoint")


class Head(models.TextChoices):
    LM = "lm", _("writes text")
    REWARD = "reward", _("scores text")
    CLASSES = "classes", _("classifies text")


class Stage(models.TextChoices):
    CANDIDATE = "candidate", _("candidate")
    PRODUCTION = "production", _("production")
    ARCHIVED = "archived", _("archived")


class Model(models.Model):
    name = models.SlugField(max_length=80, unique=True)
    description = models.TextField(blank=True)
    newest = models.PositiveIntegerField(default=0)  # the highest number ever given: no name is used twice
    created_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Version(models.Model):
    """An immutable folder. `digest` names its content (files, kind and parent), `manifest` repeats where it came from as hashes.

    A remote endpoint has no folder: its manifest has no files, and its facts say where it is ({"base_url", "model", "key_env", "chat_only"}).

    `origin`: {"method", "run", "seed", "inputs": {role: [digest, …]}, "dataset": digest, …} or {"imported_from": name}.
    """

    model = models.ForeignKey(Model, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    kind = models.CharField(max_length=16, choices=Kind)
    head = models.CharField(max_length=16, choices=Head, default=Head.LM)
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="children")
    digest = models.CharField(max_length=64, db_index=True)
    manifest = models.JSONField(
        default=dict
    )  # {"kind", "parent": digest | null, "files": [{"path", "size", "sha256"}]}
    origin = models.JSONField(default=dict)
    size = models.PositiveBigIntegerField(default=0)  # bytes of this folder alone
    parameters = models.PositiveBigIntegerField(default=0)  # of the whole chain
    trained_parameters = models.PositiveBigIntegerField(null=True, blank=True)
    architecture = models.CharField(max_length=80, blank=True)
    context_length = models.PositiveIntegerField(null=True, blank=True)
    facts = models.JSONField(
        default=dict
    )  # what its files say of themselves: {"dtype", "vocab_size", "labels", "chat"}
    metrics = models.JSONField(default=dict)
    stage = models.CharField(max_length=16, choices=Stage, default=Stage.CANDIDATE)
    licence = models.CharField(max_length=120, blank=True)
    card = models.TextField(blank=True)
    created_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    # Everything else says what the folder is and where it came from, and never changes.
    EDITABLE = frozenset({"stage", "card", "licence"})

    class Meta:
        ordering = ["model__name", "-number"]
        constraints = [models.UniqueConstraint(fields=["model", "number"], name="version_number_once")]

    def __str__(self) -> str:
        return f"{self.model.name}:v{self.number}"

    def save(self, **kwargs) -> None:
        if not self._state.adding and not set(kwargs.get("update_fields") or ["all"]) <= self.EDITABLE:
            raise ValueError("A version is immutable; only its stage, card and licence may change.")
        super().save(**kwargs)

    def get_absolute_url(self) -> str:
        return reverse("version", args=[self.model.name, self.number])

    @property
    def folder(self) -> Path:
        """Where the store keeps this version's files."""
        return store.folder_of(self.digest)

    def chain(self) -> list["Version"]:
        """This version and what it stands on, root first."""
        links = [self]
        while (parent := links[-1].parent) is not None:
            links.append(parent)
        return links[::-1]


class Source(models.Model):
    """`version` was made from `source`, which played `role` (a key of run.json's "inputs": base, reward_model, …)."""

    version = models.ForeignKey(Version, on_delete=models.CASCADE, related_name="sources")
    role = models.CharField(max_length=32)
    source = models.ForeignKey(Version, on_delete=models.PROTECT, related_name="uses")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["version", "role"], name="source_role_once")]
