"""The registry's short jobs: copying a folder into the store, and computing hashes anew."""

from pathlib import Path

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs.registry import job
from jobs.tasks import Cancelled
from people.errors import Refusal
from people.permissions import Right

from . import actions, store, uploads
from .models import Version

MB = 10**6


def _megabytes(progress, note: str) -> store.Progress:
    """Bytes as a job counts them: a total of 0 would say that nothing is known."""
    return lambda done, total: progress.set(done // MB, max(total // MB, 1), note)


@job("import-model", title=gettext_lazy("Import a model"), right=Right.MANAGE_MODELS)
def import_model(
    progress, *, name: str, path: str, licence: str, card: str, parent: int | None, uploaded: bool
) -> dict:
    try:
        imported = actions.import_folder(
            actor=progress.job.created_by,
            name=name,
            path=path,
            licence=licence,
            card=card,
            parent=Version.objects.get(pk=parent) if parent else None,
            roots=[Path(settings.UPLOADS)] if uploaded else None,
            progress=_megabytes(progress, _("copying, MB")),
        )
    except (Refusal, Cancelled):
        if uploaded:  # a stopped worker's upload stays, it will be needed again
            uploads.discard(Path(path))
        raise
    if uploaded:
        uploads.discard(Path(path))
    return {
        "message": _("%(version)s is registered.") % {"version": imported.version},
        "notes": imported.notes,
        "url": imported.version.get_absolute_url(),
        "version": str(imported.version),
    }


@job("verify-version", title=gettext_lazy("Verify hashes"), right=Right.SEE_MODELS)
def verify_version(progress, *, version: int) -> dict:
    version = Version.objects.select_related("model").get(pk=version)
    problems = store.verify(version.folder, version.manifest, _megabytes(progress, _("reading, MB")))
    if problems:
        raise Refusal(
            [
                _("This version is not what it was registered as. Restore it from a copy, or import it again."),
                *problems,
            ]
        )
    return {
        "message": _("All %(count)d files are byte for byte what was registered.")
        % {"count": len(version.manifest["files"])}
    }
