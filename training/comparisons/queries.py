"""Questions about comparisons: the list, how far each is, and the inputs that somebody names."""

from collections.abc import Mapping
from typing import Any

from django.db.models import Count, Q, QuerySet

from models_registry.queries import find
from people.errors import Refusal

from ..models import Run
from ..queries import find_dataset
from .models import Comparison

INPUTS = ("base", "dataset", "reward_model")
ACTIVE = (Run.State.QUEUED, Run.State.RUNNING, Run.State.STOPPING)


def comparisons() -> QuerySet[Comparison]:
    """Newest first, each with the number of its methods (`methods`), trials (`trials`), those judged (`judged`), and runs at work (`active`)."""
    return (
        Comparison.objects.select_related("base__model", "dataset", "reward_model__model", "created_by")
        .annotate(
            methods=Count("entries", distinct=True),
            trials=Count("entries__trials", distinct=True),
            judged=Count(
                "entries__trials",
                filter=Q(entries__trials__evaluation__state=Run.State.COMPLETE),
                distinct=True,
            ),
            active=Count(
                "entries__trials",
                filter=Q(entries__trials__run__state__in=ACTIVE) | Q(entries__trials__evaluation__state__in=ACTIVE),
                distinct=True,
            ),
        )
        .order_by("-created_at", "-pk")
    )


def find_inputs(references: Mapping[str, str]) -> dict[str, Any]:
    """The versions ("name:v3") and the data set (number, digest or name) that are named. Refusal with all that are not there."""
    found: dict[str, Any] = {}
    problems: list[str] = []
    for name in INPUTS:
        reference = references.get(name) or ""
        try:
            found[name] = None if not reference else find_dataset(reference) if name == "dataset" else find(reference)
        except Refusal as refusal:
            problems += refusal.problems
    if problems:
        raise Refusal(problems)
    return found
