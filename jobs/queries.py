"""Questions about short jobs."""

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


def latest(subject: str, what: str | None = None) -> Job | None:
    """The newest job about `subject` ("labeling.project:12"), for a page that shows how it goes."""
    jobs = Job.objects.filter(subject=subject)
    return (jobs.filter(what=what) if what else jobs).first()
