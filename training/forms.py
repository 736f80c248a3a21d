"""A run's form: made from the method's Config and inputs, filled with defaults or with what was sent, errors beside the fields.

Names of the fields are the paths that validation.py names: `config.tune.rank`, `inputs.base`, `seed`.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from labeling.models import Dataset
from models_registry.models import Kind, Stage, Version

from . import fitting, memory, queries, room
from .engine import contract, methods
from .engine.config import GROUPS, Input, Settings
from .engine.tunes import suited_lr
from .fields import Field, all_leaves, as_text, config_of_texts, convert, fields_of, flat
from .models import Run

LISTED_INPUTS = 30


@dataclass
class Bound:
    """A Field with its value as text, its errors, and for a union the variant that is chosen."""

    field: Field
    name: str
    value: Any
    errors: list[str]
    children: list["Bound"] = field(default_factory=list)
    suited: str = ""  # what goes with the rest of the form, in the place of a default that is one for all

    @property
    def id(self) -> str:
        return "id_" + self.name.replace(".", "_")

    @property
    def checked(self) -> bool:
        return self.value in (True, "true")

    @property
    def options(self) -> list[tuple[str, str]]:
        """The choices, and the value that was sent where it is none of them: a device of another machine."""
        known = self.field.options
        if self.value in ("", None) or any(value == self.value for value, _words in known):
            return known
        return [*known, (self.value, _("%(value)s (not on this machine)") % {"value": self.value})]

    @property
    def columns(self) -> str:
        """Of rows that are filled in as a table: [[key, title], …] as JSON."""
        return json.dumps(self.field.columns) if self.field.columns else ""

    @property
    def when(self) -> str:
        """{name of another field of the form: the values with which this one is shown} as JSON; what is wrong is shown always."""
        shown_with = {f"config.{path}": values for path, values in self.field.when.items()}
        return json.dumps(shown_with) if shown_with and not self.errors else ""

    @property
    def lines(self) -> int:
        """Height of a field that holds several lines."""
        return min(12, max(3, str(self.value).count("\n") + 1))

    @property
    def chosen(self) -> Field | None:
        """Of a union: the variant whose fields are shown."""
        return next((variant for variant in self.field.variants if variant.default == self.value), None)

    @property
    def is_settled(self) -> bool:
        """Whether there is nothing to choose: the only choice goes along unseen."""
        return self.field.kind == "choice" and len(self.options) == 1 and not self.errors

    @property
    def is_changed(self) -> bool:
        return self.field.kind not in ("group", "union") and convert(self.field, self.value) != self.field.default

    @property
    def wants_a_look(self) -> bool:
        """Errors below, or values that are not the defaults: a folded part that holds them is open."""
        return bool(self.errors) or self.is_changed or any(child.wants_a_look for child in self.children)


@dataclass
class Section:
    """The fields of one group; those for experts are folded."""

    title: str
    basic: list[Bound] = field(default_factory=list)
    advanced: list[Bound] = field(default_factory=list)

    @property
    def is_open(self) -> bool:
        return any(each.wants_a_look for each in self.advanced)

    @property
    def folded(self) -> list[str]:
        """What stands over the folded ones, for each number of them that can be seen: some come and go with other settings."""
        most = sum(not each.is_settled for each in self.advanced)
        return [
            ngettext("%(number)s more setting", "%(number)s more settings", number) % {"number": number}
            for number in range(1, most + 1)
        ]


@dataclass
class InputChoice:
    """One input: what may be chosen, and what is."""

    role: str
    takes: Input
    options: list[Version | Dataset]
    chosen: str
    search: str
    errors: list[str]
    more: int  # that fit and are not listed: search finds them
    can_be_left: bool  # nothing may be chosen

    @property
    def name(self) -> str:
        return f"inputs.{self.role}"

    @property
    def id(self) -> str:
        return f"id_inputs_{self.role}"

    @property
    def title(self) -> str:
        return _(self.takes.title)

    @property
    def hint(self) -> str:
        return _(self.takes.help) if self.takes.help else ""


class RunForm:
    def __init__(
        self, method: str, data: QueryDict | None = None, by_field: Mapping[str, list[str]] | None = None
    ) -> None:
        self.method = method
        self.facts = methods.facts_of(method)
        self.data = data if data is not None else QueryDict()
        self.by_field = dict(by_field or {})

    @property
    def title(self) -> str:
        return _(self.facts.title)

    @property
    def summary(self) -> str:
        return _(self.facts.summary)

    def text(self, name: str) -> str:
        return self.data.get(name, "").strip()

    @cached_property
    def fields(self) -> list[Field]:
        return fields_of(methods.config_of(self.method))

    @cached_property
    def sections(self) -> list[Section]:
        sections = {key: Section(_(title)) for key, title in GROUPS.items()}
        for each in self.fields:
            section = sections.setdefault(each.group, Section(each.group or _("Settings")))
            (section.advanced if each.advanced else section.basic).append(self._bind(each, each.default))
        return [section for section in sections.values() if section.basic or section.advanced]

    @cached_property
    def inputs(self) -> list[InputChoice]:
        return [self._input(role, takes) for role, takes in self.facts.inputs.items()]

    @property
    def usual_inputs(self) -> list[InputChoice]:
        return [each for each in self.inputs if not each.takes.extra]

    @property
    def extra_inputs(self) -> list[InputChoice]:
        return [each for each in self.inputs if each.takes.extra]

    @property
    def extra_is_open(self) -> bool:
        return any(each.chosen or each.search or each.errors for each in self.extra_inputs)

    @property
    def general_errors(self) -> list[str]:
        """Problems that belong to no field of this form."""
        shown = {
            name
            for section in self.sections
            for bound in [*section.basic, *section.advanced]
            for name in (each.name for each in _with_children(bound))
        }
        shown |= {choice.name for choice in self.inputs} | {"name", "seed", "output_name"}
        return [sentence for name, sentences in self.by_field.items() if name not in shown for sentence in sentences]

    @property
    def errors(self) -> dict[str, list[str]]:
        """For the fields that the template writes itself."""
        return self.by_field

    @property
    def bad_fields(self) -> list[tuple[str, str]]:
        """(anchor, title) of every field that something is wrong with, in the order of the page."""
        own = {"name": _("Name of the run"), "output_name": _("Name of the resulting model"), "seed": _("Seed")}
        found = [(choice.id, choice.title) for choice in self.inputs if choice.errors]
        for section in self.sections:
            for each in [*section.basic, *section.advanced]:
                found += [(bound.id, bound.field.title) for bound in _with_children(each) if bound.errors]
        return found + [(f"id_{name}", title) for name, title in own.items() if name in self.by_field]

    @property
    def room(self) -> int:
        """Bytes that the run may need on the disk, with what is chosen so far; 0 where that cannot be said."""
        return self._needed(room.needed)

    @property
    def memory(self) -> int:
        """The same of memory."""
        return self._needed(memory.needed)

    @property
    def processes(self) -> int:
        """In how many the run would work."""
        config, _problems = contract.check_config(self.method, self.config())
        return getattr(config, "processes", 1)

    @property
    def remarks(self) -> list[str]:
        """What the run will do that nobody asked for, with what is chosen so far."""
        base = self._shown_as_chosen().get("base")
        return fitting.remarks(self.method, base if isinstance(base, Version) else None)

    def _needed(self, question: Callable[[str, Settings, dict[str, Version | Dataset]], int]) -> int:
        config, _problems = contract.check_config(self.method, self.config())
        return question(self.method, config, self._shown_as_chosen()) if config else 0

    def _shown_as_chosen(self) -> dict[str, Version | Dataset]:
        """By role; what the form chose by itself among them."""
        chosen = {each.role: _find(self.facts.inputs[each.role], str(each.chosen)) for each in self.inputs}
        return {role: one for role, one in chosen.items() if one}

    @cached_property
    def suited_lr(self) -> float | None:
        """The learning rate that goes with what moves and the model that is chosen so far; None where that does not matter, or is not known."""
        base = self._shown_as_chosen().get("base")
        known = methods.config_of(self.method)
        if not isinstance(base, Version) or "tune" not in known.model_fields:
            return None
        kind = self.text("config.tune.kind") or known.model_fields["tune"].default.kind
        return suited_lr(known, kind, base.parameters)

    @cached_property
    def begun_from(self) -> Run | None:
        """The run whose “start again” opened this form."""
        return next(iter(queries.runs_called([self.text("from")])), None)

    @property
    def changes(self) -> list[tuple[str, str, str]]:
        """(title, what that run had, what stands here) of each setting that is another one now."""
        if not self.begun_from or self.begun_from.method != self.method:
            return []
        known, found = {each.path: each for each in all_leaves(self.fields)}, []
        for path, value in flat(self.begun_from.config):
            now = self.data.get(f"config.{path}") if path in known else None
            before = as_text(known[path], value) if path in known else ""
            before = str(before).lower() if isinstance(before, bool) else before
            if now is not None and now != before:
                found.append((known[path].title, before, now))
        return found

    @property
    def makes_version(self) -> bool:
        return self.facts.result is not None

    def config(self) -> dict[str, Any]:
        """What was sent, as the Config wants it; what cannot be converted stays as it is, for the Config to refuse."""
        sent = {key.removeprefix("config."): self.data.get(key) for key in self.data if key.startswith("config.")}
        return config_of_texts(self.fields, sent)

    def chosen_inputs(self) -> dict[str, Version | Dataset]:
        """The versions and data sets that were chosen; what no longer exists counts as not chosen."""
        found = {}
        for role, takes in self.facts.inputs.items():
            if one := _find(takes, self.text(f"inputs.{role}")):
                found[role] = one
        return found

    def seed(self) -> Any:
        text = self.text("seed")
        try:
            return int(text) if text else 0
        except ValueError:
            return text

    def _bind(self, each: Field, default: Any) -> Bound:
        name = f"config.{each.path}"
        if each.kind == "group":
            value, inside = None, each.children
        elif each.kind == "union":
            value = self.data.get(f"{name}.{each.tag}") or (default or {}).get(each.tag) or each.variants[0].default
            variant = next((one for one in each.variants if one.default == value), None)
            inside = variant.children if variant else []
            if default and default.get(each.tag) != value:
                default = None  # the defaults of another kind are not this one's
        else:
            value, inside = self.data.get(name, as_text(each, default)), []
        bound = Bound(each, name, value, self.by_field.get(name, []))
        if each.path == "lr" and self.suited_lr is not None:
            bound.suited = as_text(each, self.suited_lr)
            if self.data.get(name) in (None, self.data.get(f"suited.{each.path}")):
                bound.value = bound.suited  # nobody has written another
        for child in inside:
            key = child.path.rpartition(".")[2]
            bound.children.append(self._bind(child, (default or {}).get(key, child.default)))
        return bound

    def _input(self, role: str, takes: Input) -> InputChoice:
        search = self.text(f"find.{role}")
        chosen = self.text(f"inputs.{role}")
        fitting = queries.inputs_for(takes, search=search)
        options = list(fitting[:LISTED_INPUTS])
        one = _find(takes, chosen)
        can_be_left = not takes.required or self._can_be_set(takes.unless)
        is_left = can_be_left and f"inputs.{role}" in self.data
        if one and one not in options:
            options.insert(0, one)
        elif not chosen and takes.required and not is_left and options and not search and not self.by_field:
            judges = self.facts.family == "judge"  # one has just made what one wants to judge
            chosen = str(options[0].pk) if judges and takes.kind == "version" else _likeliest(options, takes)
        errors = self.by_field.get(f"inputs.{role}", [])
        more = max(0, fitting.count() - LISTED_INPUTS)
        return InputChoice(role, takes, options, chosen, search, errors, more, can_be_left)

    def _can_be_set(self, setting: str) -> bool:
        """Whether this site offers anything for a setting that takes the place of an input."""
        return any(each.path == setting and each.choices for each in self.fields)


def _with_children(bound: Bound) -> Iterator[Bound]:
    yield bound
    for child in bound.children:
        yield from _with_children(child)


def _likeliest(options: list[Version | Dataset], takes: Input) -> str:
    """What a person most likely means who has not chosen yet: the only one there is, or the newest full model (in production, if one is) of the
    head that the method names first: few want to train a reward model further, rather than make one."""
    if len(options) == 1:
        return str(options[0].pk)
    if takes.kind == "version":
        full = [each for each in options if each.kind == Kind.FULL] or options
        first = next((head for head in takes.accepts if any(each.head == head for each in full)), None)
        usual = [each for each in full if each.head == first] or full
        likely = [each for each in usual if each.stage == Stage.PRODUCTION] or usual
        return str(likely[0].pk)
    return ""


def _find(takes: Input, key: str) -> Version | Dataset | None:
    model = Version if takes.kind == "version" else Dataset
    return model.objects.filter(pk=key).first() if key.isdecimal() else None
