"""Questions about short jobs."""

from django.db.models import QuerySet

from people.models import User
from people.permissions import can

from .models import Job
from .registry import declared


def may_see(user: User, job: Job) -> bool:
    """The person who began it, and everyone whose role could have."""
    if job.created_by_id == user.pk:
        return True
    what = declared(job.what)
    return can(user, what.right) or can(user, what.right, what.place(job.arguments))


def under_way(subject: str) -> QuerySet[Job]:
    """The jobs about `subject` that have not ended."""
    return Job.objects.filter(subject=subject, state__in=[Job.State.WAITING, Job.State.RUNNING])


def latest(subject: str, what: str) -> Job | None:
    """The newest job of that name about `subject` ("labeling.project:12"), for a page that shows how it goes."""
    return Job.objects.filter(subject=subject, what=what).first()
