"""A run's form: made from the method's Config and inputs, filled with defaults or with what was sent, errors beside the fields.

Names of the fields are the paths that validation.py names: `config.tune.rank`, `inputs.base`, `seed`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from django.http import QueryDict
from django.utils.translation import gettext as _

from labeling.models import Dataset
from models_registry.models import Version

from . import queries
from .engine import methods
from .engine.config import GROUPS, Input
from .fields import Field, as_text, config_of_texts, convert, fields_of

LISTED_INPUTS = 30


@dataclass
class Bound:
    """A Field with its value as text, its errors, and for a union the variant that is chosen."""

    field: Field
    name: str
    value: Any
    errors: list[str]
    children: list["Bound"] = field(default_factory=list)

    @property
    def id(self) -> str:
        return "id_" + self.name.replace(".", "_")

    @property
    def checked(self) -> bool:
        return self.value in (True, "true")

    @property
    def chosen(self) -> Field | None:
        """Of a union: the variant whose fields are shown."""
        return next((variant for variant in self.field.variants if variant.default == self.value), None)

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

    @property
    def name(self) -> str:
        return f"inputs.{self.role}"

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
    def general_errors(self) -> list[str]:
        """Problems that belong to no field of this form."""
        shown = {
            name
            for section in self.sections
            for bound in [*section.basic, *section.advanced]
            for name in _names(bound)
        }
        shown |= {choice.name for choice in self.inputs} | {"name", "seed", "output_name"}
        return [sentence for name, sentences in self.by_field.items() if name not in shown for sentence in sentences]

    @property
    def errors(self) -> dict[str, list[str]]:
        """For the fields that the template writes itself."""
        return self.by_field

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
        if one and one not in options:
            options.insert(0, one)
        elif not chosen and takes.required and len(options) == 1 and not search:
            chosen = str(options[0].pk)
        errors = self.by_field.get(f"inputs.{role}", [])
        return InputChoice(role, takes, options, chosen, search, errors, max(0, fitting.count() - LISTED_INPUTS))


def _names(bound: Bound) -> Iterator[str]:
    yield bound.name
    for child in bound.children:
        yield from _names(child)


def _find(takes: Input, key: str) -> Version | Dataset | None:
    model = Version if takes.kind == "version" else Dataset
    return model.objects.filter(pk=key).first() if key.isdecimal() else None
