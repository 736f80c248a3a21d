"""What the verbs of runs and comparisons are called in the audit trail."""

from django.utils.translation import gettext_lazy as _

from people import trail

trail.say(
    _("Runs"),
    {
        "run.create": _("%(actor)s started the run %(object)s (%(method)s)."),
        "run.stop": _("%(actor)s stopped the run %(object)s."),
        "run.resume": _("%(actor)s resumed the run %(object)s."),
        "run.move": _("%(actor)s moved the run %(object)s to place %(place)s of the queue."),
        "run.delete": _("%(actor)s deleted the run %(name)s."),
        "run.delete_leftovers": _("%(actor)s deleted checkpoints and caches of the run %(object)s."),
        "run.register": _("%(actor)s registered %(version)s from the run %(object)s."),
        "run.request_checkpoint": _("%(actor)s asked for checkpoint %(step)s of the run %(object)s as a version."),
        "run.register_checkpoint": _("%(actor)s registered %(version)s from step %(step)s of the run %(object)s."),
        "run.send_pairs": _(
            "%(actor)s sent %(pairs)s pairs of update %(step)s of the run %(object)s and its start to people."
        ),
        "run.ask_judge": _("%(actor)s asked %(judge)s about the policies of the run %(object)s."),
        "run.begin": _("The run %(object)s began."),
        "run.end": _("The run %(object)s ended: %(state)s"),
        "run.wait_again": _("The run %(object)s waits again."),
        "runs.limits": _("%(actor)s set the limits of runs: %(at_a_time)s at a time."),
        "comparison.create": _("%(actor)s made the comparison %(object)s."),
        "comparison.add_entry": _("%(actor)s added %(entry)s to the comparison %(object)s."),
        "comparison.change_entry": _("%(actor)s changed %(entry)s in the comparison %(object)s."),
        "comparison.remove_entry": _("%(actor)s removed %(entry)s from the comparison %(object)s."),
        "comparison.start": _("%(actor)s started the comparison %(object)s."),
        "comparison.retry": _("%(actor)s tried %(entry)s of the comparison %(object)s again."),
        "comparison.cancel": _("%(actor)s cancelled the comparison %(object)s."),
        "comparison.resume": _("%(actor)s resumed the comparison %(object)s."),
        "comparison.delete": _("%(actor)s deleted a comparison."),
        "demo.seed": _("%(actor)s made the demo."),
    },
)
