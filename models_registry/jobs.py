"""The registry's short jobs: bringing a model into the store, merging an adapter, computing hashes anew."""

from pathlib import Path

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs.registry import job
from jobs.tasks import Cancelled
from people.errors import Refusal
from people.permissions import Right

from . import actions, hub, merging, store, uploads
from .models import Kind, Version

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
    return _registered(imported.version, imported.notes)


@job("import-hub", title=gettext_lazy("Import from the Hub"), right=Right.MANAGE_MODELS)
def import_hub(progress, *, name: str, repo: str, revision: str, licence: str, card: str, parent: int | None) -> dict:
    progress.set(0, 0, _("asking the Hub"))
    listed = hub.look(repo, revision)
    folder = uploads.fresh()
    try:
        hub.fetch(listed, folder, _megabytes(progress, _("fetching, MB")))
        imported = actions.import_folder(
            actor=progress.job.created_by,
            name=name,
            path=folder,
            licence=licence,
            card=card,
            parent=Version.objects.get(pk=parent) if parent else None,
            origin={"hub": repo, "revision": listed.commit},
            roots=[Path(settings.UPLOADS)],
            progress=_megabytes(progress, _("copying, MB")),
        )
    finally:
        uploads.discard(folder)
    return _registered(imported.version, imported.notes)


@job("merge-version", title=gettext_lazy("Merge an adapter into its base"), right=Right.MANAGE_MODELS)
def merge_version(progress, *, version: int, name: str) -> dict:
    version = Version.objects.select_related("model", "parent").get(pk=version)
    if reasons := merging.reasons_against(version):
        raise Refusal(reasons)
    progress.set(0, 0, _("folding the adapter into the weights"))
    folder = uploads.fresh()
    try:
        merging.merge(version, folder)
        merged = actions.register_version(
            actor=progress.job.created_by,
            model_name=name,
            folder=folder,
            sources={"base": version},
            origin={"method": "merge", "run": f"job {progress.job.pk}", "merged": [v.digest for v in version.chain()]},
            licence=version.licence,
            card=version.card,
            progress=_megabytes(progress, _("copying, MB")),
        )
    finally:
        uploads.discard(folder)
    return _registered(merged, [])


def _registered(version: Version, notes: list[str]) -> dict:
    return {
        "message": _("%(version)s is registered.") % {"version": version},
        "notes": notes,
        "url": version.get_absolute_url(),
        "version": str(version),
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


@job("verify-store", title=gettext_lazy("Verify all hashes"), right=Right.SEE_MODELS)
def verify_store(progress) -> dict:
    folders = {v.digest: v for v in Version.objects.select_related("model").exclude(kind=Kind.REMOTE)}
    total, done, damaged = sum(version.size for version in folders.values()), 0, []
    report = _megabytes(progress, _("reading, MB"))
    for version in folders.values():
        before = done
        problems = store.verify(
            version.folder, version.manifest, lambda read, _all, before=before: report(before + read, total)
        )
        damaged += [f"{version}: {problem}" for problem in problems]
        done += version.size
    if damaged:
        raise Refusal([_("Some of the store is damaged. Restore it from a copy, or import these again."), *damaged])
    return {
        "message": _("All %(count)d folders of the store are byte for byte what was registered.")
        % {"count": len(folders)}
    }
