"""Questions about models: find one, what it stands on, what was made of it."""

import json
import re
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from people.errors import Refusal

from . import store
from .lm import hard_prompt
from .lm.inspect import SCALE_FILE
from .models import Head, Kind, Model, Source, Stage, Version

# (what was made, the role its source played, the source). Role "parent": an adapter stands on it.
Link = tuple[Version, str, Version]

LOOKED_AT, MOST_BESIDE = 50, 8  # reward models: newest that are looked at, and offered beside one over the same base

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


def find_some(references: Iterable[str], *, most: int) -> tuple[list[Version], list[str]]:
    """The versions that are meant, each once and `most` at most, and a sentence for each that is not among them. Empty ones are passed over."""
    found: dict[int, Version] = {}
    problems: list[str] = []
    for reference in references:
        try:
            version = find(reference) if reference.strip() else None
        except Refusal as refusal:
            problems += map(str, refusal.problems)
            continue
        if version is None or version.pk in found:
            continue
        if len(found) < most:
            found[version.pk] = version
        else:
            said = _("%(most)d versions at most stand side by side; %(version)s was left out.")
            problems.append(said % {"most": most, "version": version})
    return list(found.values()), problems


def damage(version: Version) -> list[str]:
    """Files of the whole chain that are missing, extra or of another size. A remote endpoint has none to lose."""
    return [
        f"{link}: {problem}"
        for link in version.chain()
        if link.kind != Kind.REMOTE
        for problem in store.damaged(link.folder, link.manifest)
    ]


def words_read(version: Version) -> str:
    """Of a hard prompt: all that the model reads, with {input} where the text comes; empty for any other kind, and for a damaged folder."""
    if version.kind != Kind.HARD_PROMPT:
        return ""
    try:
        return hard_prompt.read(version.folder).ask(hard_prompt.PLACE)
    except (OSError, ValueError):
        return ""


def scale(version: Version) -> dict[str, float] | None:
    """The `mean` and `std` of a reward model's raw scores that its scores are counted from; None of one that was made elsewhere."""
    try:
        found = json.loads((version.folder / SCALE_FILE).read_text("utf-8")) if version.head == Head.REWARD else None
    except (OSError, ValueError):
        return None
    return found


def folders(version: Version) -> list[Path]:
    """The folders of the whole chain, root first, as `lm.chain.load` takes them. Refusal if anything is damaged or lies elsewhere."""
    if version.kind == Kind.REMOTE:
        raise Refusal(_("%(version)s is a remote endpoint: its weights are not here.") % {"version": version})
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
    """What an imported adapter or prompt may stand on."""
    return Version.objects.select_related("model").exclude(stage=Stage.ARCHIVED).exclude(kind=Kind.REMOTE)


def writers() -> QuerySet[Version]:
    """Every version that writes text, here or elsewhere, newest first."""
    return versions(head=Head.LM).exclude(stage=Stage.ARCHIVED)


def scorers() -> QuerySet[Version]:
    """Every reward model, newest first."""
    return versions(head=Head.REWARD).exclude(stage=Stage.ARCHIVED)


def scorers_beside(version: Version) -> list[Version]:
    """The newest other reward models over the same base: one loaded model for all of them, and a pass for each."""
    root = version.chain()[0].pk
    near = (each for each in scorers().exclude(pk=version.pk)[:LOOKED_AT] if each.chain()[0].pk == root)
    return list(islice(near, MOST_BESIDE))


def ancestors(version: Version) -> list[Link]:
    """All that `version` was made of: (made, role, source) triples, nearest first. Role "parent" is what it stands on."""
    return _walk(version, sources)


def lines_of(versions: Iterable[Version]) -> dict[Version, list[Version]]:
    """Of each, itself and all that it was made of. It takes a few queries for each step up the line, however many there are."""
    known = {version.pk: version for version in versions}
    asked, front = list(known.values()), set(known)
    made_of: dict[int, set[int]] = {}
    while front:
        made_of |= {pk: {known[pk].parent_id} - {None} for pk in front}
        for made, source in Source.objects.filter(version__in=front).values_list("version", "source"):
            made_of[made].add(source)
        front = {source for pk in front for source in made_of[pk]} - made_of.keys()
        known |= Version.objects.in_bulk(front - known.keys())
    return {version: [known[pk] for pk in _reached(version.pk, made_of)] for version in asked}


def _reached(start: int, links: Mapping[int, Iterable[int]]) -> set[int]:
    seen, front = {start}, [start]
    while front:
        front = [end for end in links[front.pop()] if end not in seen] + front
        seen.update(front)
    return seen


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


def is_named(digest: str) -> bool:
    """Whether any version has this content."""
    return Version.objects.filter(digest=digest).exists()


def orphans() -> dict[str, int]:
    """Folders of the store that no version names, with their bytes: what a deletion or a broken registration left."""
    held = store.inventory()
    named = set(Version.objects.values_list("digest", flat=True))
    return {digest: size for digest, size in held.items() if digest not in named}


@dataclass(frozen=True)
class Share:
    """What one model holds of the store. `shared` are bytes that versions of other models have too."""

    model: Model
    versions: int
    bytes: int
    shared: int


@dataclass(frozen=True)
class Disk:
    models: list[Share]  # largest first
    total: int
    orphans: dict[str, int]
    free: int

    @property
    def orphaned(self) -> int:
        return sum(self.orphans.values())


def disk() -> Disk:
    """What the store takes, by model; content that several versions share is counted once a model."""
    held = store.inventory()
    digests: dict[int, list[str]] = defaultdict(list)
    for model, digest in Version.objects.exclude(kind=Kind.REMOTE).values_list("model", "digest"):
        digests[model].append(digest)
    owners = Counter(digest for found in digests.values() for digest in set(found))
    shares = [
        Share(
            model,
            len(digests[model.pk]),
            sum(held.get(digest, 0) for digest in set(digests[model.pk])),
            sum(held.get(digest, 0) for digest in set(digests[model.pk]) if owners[digest] > 1),
        )
        for model in Model.objects.filter(pk__in=digests)
    ]
    return Disk(
        models=sorted(shares, key=lambda share: -share.bytes),
        total=sum(held.values()),
        orphans={digest: size for digest, size in held.items() if digest not in owners},
        free=shutil.disk_usage(settings.ARTIFACTS).free if held else shutil.disk_usage(settings.DATA).free,
    )


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
