"""What the verbs of the registry are called in the audit trail."""

from django.utils.translation import gettext_lazy as _

from people import trail

trail.say(
    _("Models"),
    {
        "version.import": _("%(actor)s imported %(object)s."),
        "version.register": _("%(actor)s registered %(object)s."),
        "version.remote": _("%(actor)s added %(object)s, which another server runs."),
        "version.stage": _("%(actor)s moved %(object)s from %(before)s to %(after)s."),
        "version.card": _("%(actor)s changed the card of %(object)s."),
        "version.delete": _("%(actor)s deleted %(object)s."),
        "store.reclaim": _("%(actor)s removed folders that no version needed."),
    },
)
