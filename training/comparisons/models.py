"""Comparisons: one base, one data set, one budget, and the methods that are held against each other. Data and invariants only.

A *comparison* has *entries*, one a method with its settings; an entry has *trials*, one a seed; a trial is a run that trains and an
`evaluate` run that judges its result. An entry without a method is the base itself, which is only judged.
"""

from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from labeling.models import Dataset
from models_registry.models import Version
from people.models import User


def first_seed() -> list[int]:
    return [0]


class Task(models.TextChoices):
    """What is judged; the names are those of the engine's `evaluate`."""

    LANGUAGE = "language", _("language modelling")
    CLASSIFICATION = "classification", _("classification")
    PREFERENCE = "preference", _("preference")


class Comparison(models.Model):
    name = models.CharField(max_length=120)
    task = models.CharField(max_length=16, choices=Task)
    base = models.ForeignKey(Version, on_delete=models.PROTECT, related_name="comparisons")
    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="comparisons")
    reward_model = models.ForeignKey(
        Version, null=True, blank=True, on_delete=models.PROTECT, related_name="scored_comparisons"
    )
    seeds = models.JSONField(default=first_seed)
    # The budget of every run; what is empty is as the method's own settings say.
    epochs = models.FloatField(null=True, blank=True)
    max_steps = models.PositiveIntegerField(null=True, blank=True)
    batch_size = models.PositiveIntegerField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)  # empty: still being put together
    cancelled = models.BooleanField(default=False)  # nothing more is queued until somebody says so
    created_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("comparison", args=[self.pk])


class Entry(models.Model):
    comparison = models.ForeignKey(Comparison, on_delete=models.CASCADE, related_name="entries", db_index=False)
    position = models.PositiveIntegerField()
    label = models.CharField(
        max_length=80, blank=True
    )  # as somebody called it; empty: as it is called after what it is
    method = models.CharField(max_length=32, blank=True)  # empty: the base itself
    config = models.JSONField(default=dict)

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["comparison", "position"], name="entry_position_once"),
            models.UniqueConstraint(fields=["comparison", "label"], condition=~Q(label=""), name="entry_label_once"),
        ]

    def __str__(self) -> str:
        from .names import name_of  # reads the menu, which reads this file

        return name_of(self)


class Trial(models.Model):
    entry = models.ForeignKey(Entry, on_delete=models.CASCADE, related_name="trials", db_index=False)
    seed = models.PositiveIntegerField()
    run = models.ForeignKey(
        "training.Run", null=True, blank=True, on_delete=models.SET_NULL, related_name="trained_for"
    )
    evaluation = models.ForeignKey(
        "training.Run", null=True, blank=True, on_delete=models.SET_NULL, related_name="judged_for"
    )
    problems = models.JSONField(default=list)  # sentences: why its next run could not be queued

    class Meta:
        ordering = ["seed"]
        constraints = [models.UniqueConstraint(fields=["entry", "seed"], name="trial_seed_once")]
