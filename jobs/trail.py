"""What the verbs of short jobs are called in the audit trail."""

from collections.abc import Mapping

from django.utils.translation import gettext_lazy as _

from people import trail

from .registry import declared

trail.say(
    _("Jobs"),
    {
        "job.enqueue": _("%(actor)s began a job: %(what)s"),
        "job.cancel": _("%(actor)s cancelled a job."),
        "job.requeue": _("A job whose worker had died was taken up again."),
    },
)


@trail.words("job.enqueue")
def which_job(data: Mapping) -> dict[str, str]:
    """Its title; the name of one that no app declares any more."""
    try:
        return {"what": str(declared(data["what"]).title)}
    except KeyError:
        return {}
