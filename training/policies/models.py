"""What is asked about the policies of a run: pairs for people, and verdicts of reward models. A policy is named by its run and how many updates it had."""

from django.db import models
from django.utils import timezone

from labeling.models import Batch
from models_registry.models import Version
from people.models import User


class FreshPairs(models.Model):
    """Answers of a policy beside those of the run's start, sent to people: the tasks of a batch. `version` is the policy, from when the job has registered it."""

    run = models.ForeignKey("training.Run", on_delete=models.CASCADE, related_name="fresh_pairs")
    step = models.PositiveIntegerField()
    version = models.ForeignKey(Version, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    batch = models.ForeignKey(Batch, on_delete=models.PROTECT, related_name="fresh_pairs")
    number = models.PositiveIntegerField()  # of pairs that were asked for
    seed = models.PositiveBigIntegerField()
    created_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return str(self.batch)


class Verdict(models.Model):
    """How often a reward model that the run did not learn from prefers a policy's answers to its start's, on held-out prompts."""

    run = models.ForeignKey("training.Run", on_delete=models.CASCADE, related_name="verdicts")
    step = models.PositiveIntegerField()
    judge = models.ForeignKey(Version, on_delete=models.CASCADE, related_name="+")
    wins = models.PositiveIntegerField()
    ties = models.PositiveIntegerField()
    losses = models.PositiveIntegerField()
    asked_at = models.DateTimeField(default=timezone.now)  # the last time: the page shows what was asked last

    class Meta:
        ordering = ["asked_at", "pk"]
        constraints = [models.UniqueConstraint(fields=["run", "step", "judge"], name="verdict_once")]
