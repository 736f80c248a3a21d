"""Questions about comparisons: the list, and how far each is."""

from django.db.models import Count, Q, QuerySet

from ..models import Run
from .models import Comparison

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
