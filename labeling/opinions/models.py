"""What a reward model was found to say against the people of a project."""

from math import exp

from django.db import models
from django.db.models import Q

from labeling.models import Project, Task
from models_registry.models import Version
from people.models import User


class Opinion(models.Model):
    """One version asked about the ranked tasks of one project. `current`: all of it is there; a new one takes the place of the old one whole."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="opinions")
    version = models.ForeignKey(Version, on_delete=models.CASCADE, related_name="+")
    current = models.BooleanField(default=False)
    created_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "version"], condition=Q(current=True), name="one_opinion"),
        ]


class Disagreement(models.Model):
    """A task, what people say of it and what the model does (labeling.statistics.against.Against); in canonical letters.

    `learned`: whether the model learned from rankings of this prompt; None where that is not known. Of what it learned by heart it is not surprised.
    """

    opinion = models.ForeignKey(Opinion, on_delete=models.CASCADE, related_name="tasks", db_index=False)
    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="+")
    people = models.CharField(max_length=64)
    model = models.CharField(max_length=64)
    surprise = models.FloatField()
    opposite = models.PositiveSmallIntegerField()
    strict = models.PositiveSmallIntegerField()
    learned = models.BooleanField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["opinion", "task"], name="disagreement_once")]

    @property
    def likelihood(self) -> float:
        """That the model gives to what people say of a pair: the geometric mean over the pairs."""
        return exp(-self.surprise)
