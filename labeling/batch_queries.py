"""Questions about the batches of a project: how far each has come, and what stands in none."""

from dataclasses import dataclass

from django.db.models import Count, F, Q, Sum

from labeling.models import Batch, Project, Task
from labeling.queries import WANTED


@dataclass(frozen=True)
class Progress:
    """How far the tasks of a batch, or those in none (`batch` is None), have come. Tasks with a known answer want no rankings, those closed for
    review (`review`) no more than they have."""

    batch: Batch | None
    tasks: int
    complete: int
    review: int
    wanted: int
    ranked: int
    under_way: int  # slots that somebody holds without having ranked

    @property
    def offered(self) -> int:
        """Tasks that can become complete."""
        return self.tasks - self.review


def batch_progress(project: Project) -> list[Progress]:
    """Each batch, and last the tasks in none if there are some."""
    figures = {
        row.pop("batch"): row
        for row in project.tasks.filter(kind=Task.Kind.NORMAL)
        .order_by()
        .values("batch")
        .annotate(
            tasks=Count("pk"),
            complete=Count("pk", filter=Q(state=Task.State.COMPLETE)),
            review=Count("pk", filter=Q(state=Task.State.REVIEW)),
            wanted=Sum(WANTED),
            ranked=Sum("submitted"),
            under_way=Sum(F("overlap") - F("free_slots") - F("submitted")),
        )
    }
    nothing = {"tasks": 0, "complete": 0, "review": 0, "wanted": 0, "ranked": 0, "under_way": 0}
    found = [Progress(batch, **figures.get(batch.pk, nothing)) for batch in project.batches.all()]
    return found + ([Progress(None, **figures[None])] if None in figures else [])
