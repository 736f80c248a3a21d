"""What the verbs of short jobs are called in the audit trail."""

from django.utils.translation import gettext_lazy as _

from people import trail

trail.say(
    _("Jobs"),
    {
        "job.enqueue": _("%(actor)s began a job: %(what)s"),
        "job.cancel": _("%(actor)s cancelled a job."),
        "job.requeue": _("A job whose worker had died was taken up again."),
    },
)
