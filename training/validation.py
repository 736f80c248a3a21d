"""What is wrong with a run that someone wants to create: everything at once, each problem with its place.

A Config is judged by the engine itself (contract.check_config); the inputs by what the method says it takes; where each is right by
itself, all of them together (fitting.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.template.defaultfilters import filesizeformat
from django.utils.text import slugify
from django.utils.translation import gettext as _

from labeling.models import Dataset
from models_registry.actions import name_problems
from models_registry.models import Head, Version

from . import disk, room
from .engine import contract, methods
from .engine.config import Input
from .engine.messages import Message
from .failures import said
from .fields import all_leaves, fields_of
from .fitting import misfits
from .models import Run
from .naming import default_name


@dataclass
class Problems:
    """`by_field`: {"config.tune.rank": [sentence, …]}; keys are the names of the form's fields."""

    by_field: dict[str, list[str]] = field(default_factory=dict)

    def add(self, name: str, sentence: str) -> None:
        self.by_field.setdefault(name, []).append(sentence)

    def __bool__(self) -> bool:
        return bool(self.by_field)

    @property
    def sentences(self) -> list[str]:
        return [sentence for sentences in self.by_field.values() for sentence in sentences]


@dataclass(frozen=True)
class Wanted:
    """A run that may be created. `config` is complete: defaults that change later cannot change this run."""

    name: str
    output_name: str
    seed: int
    config: dict[str, Any]


def checked(
    *,
    method: str,
    config: Mapping[str, Any],
    inputs: Mapping[str, Version | Dataset],
    name: str,
    seed: int,
    output_name: str,
) -> tuple[Wanted, Problems]:
    problems = Problems()
    if method not in methods.names():
        problems.add("method", _("There is no method “%(method)s”.") % {"method": method})
        return Wanted(name, output_name, seed, {}), problems
    for role, takes in methods.facts_of(method).inputs.items():
        if problem := input_problem(takes, inputs.get(role), required=takes.is_required(config)):
            problems.add(f"inputs.{role}", problem)
    for role in inputs.keys() - methods.facts_of(method).inputs.keys():
        problems.add(f"inputs.{role}", _("This method takes no input “%(role)s”.") % {"role": role})

    complete, wrong = contract.check_config(method, dict(config))
    if complete:
        wrong = complete.problems(set(inputs))
    titles = {each.path: each.title for each in all_leaves(fields_of(methods.config_of(method)))}
    for message in wrong:
        path = message.params.get("field", "")
        named = Message(message.id, message.text, {**message.params, "field": titles.get(path, path)})
        problems.add(f"config.{path}", *said([named.as_json()]))

    if complete and not problems:
        for place, sentence in misfits(method, complete, inputs):
            problems.add(place, sentence)
        if (wants := room.needed(method, complete, inputs)) > (free := disk.free()):
            text = _(
                "The run may need %(needed)s of room with its checkpoints and its result, and %(free)s are left. Keep fewer checkpoints, "
                "delete those of ended runs, or raise the limit under “Queue and room”."
            )
            text %= {"needed": filesizeformat(wants), "free": filesizeformat(free)}
            if getattr(complete, "keep_along_kl", 0):
                text += " " + _("Each policy that is kept along the KL takes as much as the result.")
            problems.add("config.keep_checkpoints", text)

    longest = Run._meta.get_field("name").max_length
    if len(name) > longest:
        problems.add("name", _("The name is longer than %(count)d characters.") % {"count": longest})
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**31:
        problems.add("seed", _("The seed must be a whole number from 0 to 2147483647."))
    source = inputs.get("base") or next(iter(inputs.values()), None)
    origin = source.model.name if isinstance(source, Version) else slugify(source.name) if source else ""
    if methods.facts_of(method).result is None:
        output_name = ""  # figures alone: nothing to name
    else:
        output_name = output_name.strip() or "-".join(filter(None, [origin[:60], method]))
        for problem in name_problems(output_name):
            problems.add("output_name", problem)
    settings = complete.model_dump(mode="json") if complete else {}
    wanted = Wanted(
        name=name.strip() or default_name(method, settings, str(source) if isinstance(source, Version) else origin),
        output_name=output_name,
        seed=seed,
        config=settings,
    )
    return wanted, problems


def input_problem(takes: Input, chosen: Version | Dataset | None, *, required: bool) -> str | None:
    """Why `chosen` cannot be this input; None if it can."""
    title = _(takes.title)
    if chosen is None:
        return _("“%(input)s” is missing: choose one.") % {"input": title} if required else None
    place = {"input": title, "chosen": str(chosen)}
    if takes.kind == "version":
        if not isinstance(chosen, Version):
            return _("“%(input)s” must be a model version, and %(chosen)s is a data set.") % place
        if chosen.kind not in takes.links:
            return _("“%(input)s”: %(chosen)s is a %(kind)s, which this method cannot build on.") % {
                **place,
                "kind": chosen.get_kind_display(),
            }
        if chosen.head not in takes.accepts:
            return _("“%(input)s” must be a model that %(accepts)s, and %(chosen)s %(head)s.") % {
                **place,
                "accepts": _either(str(Head(head).label) for head in takes.accepts),
                "head": chosen.get_head_display(),
            }
        return None
    if not isinstance(chosen, Dataset):
        return _("“%(input)s” must be a data set, and %(chosen)s is a model version.") % place
    if chosen.kind not in takes.accepts:
        return _("“%(input)s” must be a data set of %(accepts)s, and %(chosen)s holds %(kind)s.") % {
            **place,
            "accepts": _either(str(Dataset.Kind(kind).label) for kind in takes.accepts),
            "kind": chosen.get_kind_display(),
        }
    return None


def _either(words) -> str:
    return f" {_('or')} ".join(words)
