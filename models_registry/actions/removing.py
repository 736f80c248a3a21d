"""Verbs: delete a version that nothing needs, and reclaim what lies in the store under no name."""

from django.db import transaction
from django.db.models import ProtectedError
from django.utils.translation import gettext as _

from people.errors import Refusal
from people.models import User, audit
from people.permissions import Right, check

from .. import hooks, queries, store
from ..models import Version


def delete_version(*, actor: User, version: Version, confirm: str) -> bool:
    """Delete a version that nothing stands on and nothing names; `confirm` is its name, typed. True: its folder is gone too.

    The folder stays while another version has the same content, or while something is just being added to the store.
    """
    check(actor, Right.MANAGE_MODELS)
    if confirm.strip() != str(version):
        raise Refusal(_("To delete it, type its name: %(version)s.") % {"version": version})
    with transaction.atomic():
        if reasons := reasons_against(version):
            raise Refusal([_("%(version)s cannot be deleted.") % {"version": version}, *reasons], status=409)
        audit(
            actor,
            "version.delete",
            version,
            name=str(version),
            digest=version.digest,
            kind=version.kind,
            size=version.size,
        )
        hooks.let_go(version)
        try:
            version.delete()
        except ProtectedError as error:
            names = sorted({str(each._meta.verbose_name) for each in error.protected_objects})
            reason = _("These still name it: %(what)s.") % {"what": ", ".join(names)}
            raise Refusal([_("%(version)s cannot be deleted.") % {"version": version}, reason], status=409) from None
    return bool(store.remove([version.digest], named=queries.is_named))


def reasons_against(version: Version) -> list[str]:
    """Why it must stay: what stands on it, what was made of it, and what the floors above know."""
    standing = {made.pk: str(made) for made, _role, _source in queries.uses(version)}
    names = sorted(standing.values())
    found = []
    if names:
        more = _(" and %(count)d more") % {"count": len(names) - 5} if len(names) > 5 else ""
        found.append(_("These were made of it: %(names)s.") % {"names": ", ".join(names[:5]) + more})
    return found + hooks.needs(version)


def reclaim(*, actor: User) -> dict:
    """Remove the folders of the store that no version names: {"folders", "bytes"}."""
    check(actor, Right.MANAGE_MODELS)
    orphans = queries.orphans()
    gone = store.remove(orphans, named=queries.is_named)
    if orphans and not gone:
        raise Refusal(_("Something is just being added to the store. Try again when it has ended."), status=409)
    freed = sum(orphans[digest] for digest in gone)
    audit(actor, "store.reclaim", actor, digests=gone, bytes=freed)
    return {"folders": len(gone), "bytes": freed}
