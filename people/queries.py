"""Questions about people, and about what they did: the list of people, the audit trail."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.apps import apps
from django.db.models import Model, Q, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from . import trail as words
from .models import AuditEntry, Role, User
from .searching import json_holds, midnight, people_called, row_key

STATES = [
    ("active", gettext_lazy("can sign in")),
    ("deactivated", gettext_lazy("deactivated")),
    ("never", gettext_lazy("never signed in")),
    ("simulated", gettext_lazy("simulated")),
]


def people(
    *, search: str = "", role: str = "", state: str = "", group: str = "", more_than_ranks: bool = False
) -> QuerySet[User]:
    """Those who can sign in first. `state` is one of STATES, `group` the key of one."""
    found = User.objects.order_by("-is_active", "is_simulated", "username").prefetch_related("groups")
    if search:
        found = found.filter(people_called(search))
    if role:
        found = found.filter(role=role)
    if more_than_ranks:
        found = found.exclude(role=Role.ANNOTATOR).filter(is_active=True)
    match state:
        case "active":
            found = found.filter(is_active=True, is_simulated=False)
        case "deactivated":
            found = found.filter(is_active=False)
        case "never":
            found = found.filter(is_active=True, is_simulated=False, last_login=None)
        case "simulated":
            found = found.filter(is_simulated=True)
    if (of := row_key(group)) is not None:
        found = found.filter(groups=of)
    return found


# The audit trail


@dataclass(frozen=True)
class Asked:
    """What of the trail is asked for; each of it may be left out."""

    actor: str = ""  # a sign-in name
    verb: str = ""
    kind: str = ""  # of the object: "labeling.Project"
    object: str = ""  # its key; only with its kind
    first: date | None = None
    last: date | None = None
    search: str = ""  # in what was noted; finds no routine entries
    routine: bool = False  # with the turns at the board
    place: str = ""  # "labeling.project:12"


def asked_for(asked: Asked) -> QuerySet[AuditEntry]:
    """The entries asked for, newest first. Whatever is asked, an index leads to them, or only those that are not routine are looked through."""
    routine = asked.routine or asked.verb in words.ROUTINE
    found = trail(routine=routine and not asked.search, place=asked.place)
    if asked.actor:
        actors = list(User.objects.filter(username__iexact=asked.actor))
        found = found.filter(actor=actors[0]) if len(actors) == 1 else found.filter(actor__in=actors)
    if asked.verb:
        found = found.filter(verb=asked.verb)
    if asked.kind:
        found = found.filter(object_type=asked.kind)
        if asked.object:
            found = found.filter(object_id=asked.object)
    if asked.first:
        found = found.filter(pk__gte=_first_at(midnight(asked.first)))
    if asked.last:
        found = found.filter(pk__lt=_first_at(midnight(asked.last + timedelta(days=1))))
    if asked.search:
        found = found.filter(
            json_holds("data", asked.search)
            | Q(object_id=asked.search)
            | Q(verb__icontains=asked.search)
            | Q(actor__username__icontains=asked.search)
        )
    return found


def trail(*, actor: User | None = None, routine: bool = False, place: str = "") -> QuerySet[AuditEntry]:
    """Newest first, by key: that is the order in which they were written."""
    found = AuditEntry.objects.select_related("actor").order_by("-pk")
    if actor is not None:
        found = found.filter(actor=actor)
    if not routine:
        found = found.filter(routine=False)
    if place:
        found = found.filter(place=place)
    return found


def _first_at(moment: datetime) -> int:
    """The key of the first entry at or after `moment`, by halving: keys and times grow together, so times need no index."""
    newest = AuditEntry.objects.order_by("-pk").first()
    low, high = 1, newest.pk + 1 if newest else 1
    while low < high:
        middle = (low + high) // 2
        entry = AuditEntry.objects.filter(pk__gte=middle).order_by("pk").only("at").first()
        if entry is not None and entry.at < moment:
            low = max(middle, entry.pk) + 1
        else:
            high = middle
    return low


@dataclass(frozen=True)
class Slice:
    """A part of a long list, found by key and not by counting: as fast on page 10,000 as on page 1."""

    entries: list[AuditEntry]
    newer: int | None  # show what is newer than this key; None: there is nothing newer
    older: int | None


def slice_of(
    found: QuerySet[AuditEntry], *, before: int | None = None, after: int | None = None, size: int = 50
) -> Slice:
    """`size` entries older than the key `before`, or newer than `after`, or the newest."""
    if after is not None:
        rows = list(found.filter(pk__gt=after).order_by("pk")[: size + 1])
        more, rows = len(rows) > size, rows[:size][::-1]
        if not rows:
            return slice_of(found, size=size)
        return Slice(rows, rows[0].pk if more else None, rows[-1].pk)
    if before is not None:
        found = found.filter(pk__lt=before)
    rows = list(found[: size + 1])
    more, rows = len(rows) > size, rows[:size]
    newer = (rows[0].pk if rows else before - 1) if before is not None else None
    return Slice(rows, newer, rows[-1].pk if more else None)


@dataclass(frozen=True)
class Told:
    """An entry as people read it."""

    entry: AuditEntry
    sentence: str
    address: str  # of the object; "" if it has no page, or is gone
    place: Model | None = None  # what it belongs to, if that is something else than the object


def read(entries: Iterable[AuditEntry]) -> list[Told]:
    """In sentences, with links. One query for each kind of object."""
    entries = list(entries)
    keys = [(entry.object_type, entry.object_id) for entry in entries]
    homes = [_place_key(entry.place) for entry in entries]
    objects = _objects({*keys, *homes})
    return [
        _told(entry, objects.get(key), objects.get(home))
        for entry, key, home in zip(entries, keys, homes, strict=True)
    ]


def _place_key(place: str) -> tuple[str, str]:
    """("labeling.Project", "12") of "labeling.project:12"."""
    kind, _colon, key = place.partition(":")
    try:
        return apps.get_model(kind)._meta.label, key
    except (LookupError, ValueError):
        return "", ""


def _objects(keys_found: set[tuple[str, str]]) -> dict[tuple[str, str], Model]:
    keys: dict[str, set[str]] = defaultdict(set)
    for kind, key in keys_found:
        keys[kind].add(key)
    found: dict[tuple[str, str], Model] = {}
    for kind, wanted in keys.items():
        try:
            model = apps.get_model(kind)
            clean = [model._meta.pk.to_python(key) for key in wanted]
        except Exception:
            continue
        rows = model._default_manager.filter(pk__in=clean)
        if kind in words.LINKS and (names := _relations(model)):
            rows = rows.select_related(*names)
        found |= {(kind, str(row.pk)): row for row in rows}
    return found


def _relations(model: type[Model]) -> list[str]:
    """What a link may look at without asking again."""
    return [each.name for each in model._meta.fields if each.is_relation and each.name in {"project", "task", "run"}]


def _told(entry: AuditEntry, obj: Model | None, place: Model | None) -> Told:
    name = str(obj) if obj is not None else f"{entry.object_type.rpartition('.')[2]} {entry.object_id}"
    said = {key: _as_text(value) for key, value in entry.data.items()}
    if entry.data and entry.verb in words.WORDS:
        said |= words.WORDS[entry.verb](entry.data)
    said |= {"actor": str(entry.actor or _("The system")), "object": name, "verb": entry.verb}
    sentence = str(words.SENTENCES.get(entry.verb, "%(actor)s: %(verb)s, %(object)s")) % _Said(said)
    address_of: Callable | None = words.LINKS.get(entry.object_type) or getattr(type(obj), "get_absolute_url", None)
    return Told(
        entry, sentence, address_of(obj) if obj is not None and address_of else "", None if place == obj else place
    )


def verb_names(place: str = "") -> dict[str, list[tuple[str, str]]]:
    """By heading: (verb, what it says of whoever did it: "froze the snapshot …"). In a place: the decisions that were taken there."""
    verbs = list(words.SENTENCES)
    if place:
        verbs = list(AuditEntry.objects.filter(place=place, routine=False).values_list("verb", flat=True).distinct())
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for verb in verbs:
        if verb in words.SENTENCES:
            name = (str(words.SENTENCES[verb]) % _Said()).removeprefix("… ").rstrip(".:")
            found[str(words.HEADINGS[verb])].append((verb, name))
    return {heading: sorted(names, key=lambda name: name[1].casefold()) for heading, names in sorted(found.items())}


class _Said(dict):
    """Data of an older time may lack what the sentence of today says."""

    def __missing__(self, key: str) -> str:
        return "…"


def _as_text(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) if len(value) <= 5 else ", ".join(map(str, value[:5])) + ", …"
    if value in Role.values:
        return str(Role(value).label)
    return str(value)


def rows(found: QuerySet[AuditEntry]) -> Iterator[dict]:
    """For exports: every entry as plain data, read from the database as they are taken."""
    return as_rows(found.iterator(chunk_size=2000))


def as_rows(entries: Iterable[AuditEntry]) -> Iterator[dict]:
    for entry in entries:
        yield {
            "id": entry.pk,
            "at": entry.at.isoformat(),
            "actor": entry.actor.username if entry.actor else None,
            "verb": entry.verb,
            "object_type": entry.object_type,
            "object_id": entry.object_id,
            "place": entry.place,
            "data": entry.data,
        }
