"""Questions about models: find one, what it stands on, what was made of it."""

import re
from pathlib import Path

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from people.errors import Refusal

from . import store
from .models import Model, Stage, Version

# (what was made, the role its source played, the source). Role "parent": an adapter stands on it.
Link = tuple[Version, str, Version]

_REFERENCE = re.compile(r"(?P<name>[-\w]+)(?::v(?P<number>\d+))?")


def find(reference: str) -> Version:
    """The version called "name:v3"; "name" alone means the one in production, else the newest. Refusal (404) if there is none."""
    match = _REFERENCE.fullmatch(reference.strip())
    versions = (
        Version.objects.select_related("model").filter(model__name=match["name"]) if match else Version.objects.none()
    )
    if match and match["number"]:
        version = versions.filter(number=match["number"]).first()
    else:
        version = versions.filter(stage=Stage.PRODUCTION).first() or versions.first()
    if version is None:
        raise Refusal(_("There is no model version called “%(reference)s”.") % {"reference": reference}, status=404)
    return version


def damage(version: Version) -> list[str]:
    """Files of the whole chain that are missing, extra or of another size."""
    return [f"{link}: {problem}" for link in version.chain() for problem in store.damaged(link.folder, link.manifest)]


def folders(version: Version) -> list[Path]:
    """The folders of the whole chain, root first, as `lm.chain.load` takes them. Refusal if anything is damaged."""
    if problems := damage(version):
        raise Refusal([_("The store is damaged; restore these from a copy, or import the model again."), *problems])
    return [link.folder for link in version.chain()]


def versions(
    *, search: str = "", kind: str = "", head: str = "", stage: str = "", model: str = ""
) -> QuerySet[Version]:
    """The registry's table, newest first, narrowed by what is given."""
    found = Version.objects.select_related("model", "parent__model").order_by("-created_at", "-pk")
    for field, value in {"kind": kind, "head": head, "stage": stage, "model__name": model}.items():
        if value:
            found = found.filter(**{field: value})
    for word in search.split():
        found = found.filter(
            Q(model__name__icontains=word)
            | Q(architecture__icontains=word)
            | Q(origin__method__icontains=word)
            | Q(model__description__icontains=word)
            | Q(card__icontains=word)
        )
    return found


def models() -> QuerySet[Model]:
    return Model.objects.prefetch_related("versions")


def usable_parents() -> QuerySet[Version]:
    """What an imported adapter may stand on."""
    return Version.objects.select_related("model").exclude(stage=Stage.ARCHIVED).filter(kind__in=["full", "adapter"])


def ancestors(version: Version) -> list[Link]:
    """All that `version` was made of: (made, role, source) triples, nearest first. Role "parent" is what it stands on."""
    return _walk(version, sources)


def descendants(version: Version) -> list[Link]:
    """All that was made of `version`: (made, role, source) triples, nearest first."""
    return _walk(version, uses)


def sources(version: Version) -> list[Link]:
    """What `version` was made of directly."""
    links = {
        link.source_id: (version, link.role, link.source) for link in version.sources.select_related("source__model")
    }
    if version.parent_id and version.parent_id not in links:
        links[version.parent_id] = (version, "parent", version.parent)
    return list(links.values())


def uses(version: Version) -> list[Link]:
    """What was made of `version` directly."""
    links = {
        link.version_id: (link.version, link.role, version) for link in version.uses.select_related("version__model")
    }
    for child in version.children.select_related("model"):
        links.setdefault(child.pk, (child, "parent", version))
    return list(links.values())


def _walk(version: Version, step) -> list[Link]:
    """Breadth first; every version is looked at once."""
    seen, links, front = {version.pk}, [], [version]
    while front:
        found = [link for each in front for link in step(each)]
        links += found
        front = []
        for made, _role, source in found:
            for end in (made, source):
                if end.pk not in seen:
                    seen.add(end.pk)
                    front.append(end)
    return links
