"""A Config as people meet it: a tree of fields read from its JSON schema. Form, command-line help and messages are made from it.

Nothing here knows any method: a field that is added to a Config appears everywhere by itself.
"""

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from django.utils.formats import get_format, localize
from django.utils.translation import gettext as _
from pydantic import BaseModel

from people import texts

from . import machine

Kind = Literal["integer", "number", "boolean", "choice", "text", "list", "json", "group", "union"]


@dataclass
class Field:
    """One knob, or a group of them. `path` is dotted: `tune.rank`. Texts are in the language of the request."""

    path: str
    kind: Kind
    title: str
    hint: str = ""
    unit: str = ""
    source: str = ""
    group: str = ""
    advanced: bool = False
    required: bool = False
    nullable: bool = False
    default: Any = None
    bounds: dict[str, float] = field(default_factory=dict)  # minimum, maximum, exclusiveMinimum, exclusiveMaximum
    choices: list[Any] = field(default_factory=list)
    children: list["Field"] = field(default_factory=list)  # of a group
    variants: list["Field"] = field(default_factory=list)  # of a union: groups, `default` of each is its kind
    tag: str = ""  # the key that tells a union's variants apart
    labels: dict[str, str] = field(default_factory=dict)  # what people read for some of the choices
    multiline: bool = False
    holds_numbers: bool = False  # of a list
    columns: list[tuple[str, str]] = field(
        default_factory=list
    )  # (key, title) of rows; keys are "" where each row is a key and its value
    when: dict[str, list[str]] = field(
        default_factory=dict
    )  # {path of another field: its values with which this one means something}

    @property
    def range(self) -> str:
        """The bounds in words: "0 to 1", "greater than 0, at most 1"."""
        if self.bounds.keys() == {"minimum", "maximum"}:
            low, high = localize(self.bounds["minimum"]), localize(self.bounds["maximum"])
            return _("%(low)s to %(high)s") % {"low": low, "high": high}
        words = {
            "minimum": _("at least %s"),
            "exclusiveMinimum": _("greater than %s"),
            "maximum": _("at most %s"),
            "exclusiveMaximum": _("less than %s"),
        }
        return ", ".join(words[key] % localize(self.bounds[key]) for key in words if key in self.bounds)

    @property
    def shown_unit(self) -> str:
        """The unit, unless the title ends with it: "Batch size" rows, and "Largest number of updates"."""
        return "" if self.title.lower().endswith(self.unit.lower()) else self.unit

    @property
    def options(self) -> list[tuple[str, str]]:
        """(value, words) of each choice."""
        empty = [("", _("empty"))] if self.nullable else []
        return empty + [(str(choice), self.words(choice)) for choice in self.choices]

    def words(self, value: Any) -> str:
        """A value as people read it: a choice by its label, where it has one."""
        if label := self.labels.get(str(value)):
            return label
        if self.kind == "union":
            return next((variant.title for variant in self.variants if variant.default == value), str(value))
        return words(value) if value in self.choices else str(value)

    def shown(self, value: Any) -> str:
        """A value in a table of settings; empty where it is."""
        if value is None or value == []:
            return ""
        if self.kind == "boolean":
            return _("yes") if value else _("no")
        return self.words(value) if self.kind in ("choice", "union") else as_text(self, value)

    def leaves(self) -> Iterator["Field"]:
        """What can be set: this field, or those inside a group; a union and the fields of all its variants."""
        if self.kind != "group":
            yield self
        for each in [*self.children, *self.variants]:
            yield from each.leaves()


def fields_of(config: type[BaseModel]) -> list[Field]:
    """The fields of a Config class in the order in which they are declared."""
    schema = _schema_of(config)
    return _properties(schema, schema.get("$defs", {}), prefix="")


@cache
def _schema_of(config: type[BaseModel]) -> dict[str, Any]:
    """Some 30 ms for a method, and a page asks for many; it says nothing in the language of the request yet, and is only read."""
    return config.model_json_schema()


def all_leaves(fields: list[Field]) -> Iterator[Field]:
    for each in fields:
        yield from each.leaves()


def leaves_with_kinds(fields: list[Field], kind: str = "") -> Iterator[tuple[Field, str]]:
    """What can be set, each with the kind of union that it is a setting of ("" outside of unions)."""
    for each in fields:
        if each.kind != "group":
            yield each, kind
        yield from leaves_with_kinds(each.children, kind)
        for variant in each.variants:
            yield from leaves_with_kinds(variant.children, variant.default)


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """{"tune": {"rank": 4}} as ("tune.rank", 4)."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def default_values(fields: list[Field]) -> dict[str, Any]:
    """The default of every path that has one."""
    found: dict[str, Any] = {}
    for each in fields:
        if each.kind == "group":
            found |= default_values(each.children)
        elif isinstance(each.default, Mapping):
            found |= dict(flat(each.default, f"{each.path}."))
        else:
            found[each.path] = each.default
    return found


def _properties(schema: Mapping, defs: Mapping, prefix: str, without: str = "") -> list[Field]:
    required = schema.get("required", [])
    return [
        _field(f"{prefix}{name}", part, defs, required=name in required)
        for name, part in schema.get("properties", {}).items()
        if name != without
    ]


def _field(path: str, schema: Mapping, defs: Mapping, *, required: bool) -> Field:
    schema, nullable = _resolved(schema, defs)
    name = path.rpartition(".")[2]
    made = Field(
        path=path,
        kind="json",
        title=_(schema["title"]) if schema.get("title") else name,
        hint=_(schema["description"]) if schema.get("description") else "",
        unit=_(schema["unit"]) if schema.get("unit") else "",
        source=schema.get("source", ""),
        group=schema.get("group", ""),
        advanced=bool(schema.get("advanced")),
        required=required,
        nullable=nullable,
        default=deepcopy(schema.get("default")),  # the schema is everybody's
        bounds={key: value for key, value in schema.items() if key in _BOUNDS},
        labels={value: _(label) for value, label in schema.get("labels", {}).items()},
        multiline=bool(schema.get("multiline")),
        when={f"{path.removesuffix(name)}{other}": values for other, values in schema.get("when", {}).items()},
    )
    if "discriminator" in schema:
        made.kind, made.tag = "union", schema["discriminator"]["propertyName"]
        values = {reference: value for value, reference in schema["discriminator"]["mapping"].items()}
        for reference in [option["$ref"] for option in schema["oneOf"]]:  # in the order in which they are declared
            value, variant = values[reference], defs[reference.rpartition("/")[2]]
            children = _properties(variant, defs, f"{path}.", without=made.tag)
            made.variants.append(
                Field(
                    path=path,
                    kind="group",
                    title=_(variant["title"]),
                    hint=_(variant["description"]) if variant.get("description") else "",
                    default=value,
                    children=children,
                )
            )
    elif "properties" in schema:
        made.kind, made.children = "group", _properties(schema, defs, f"{path}.")
    elif "offers" in schema:
        offers = machine.offered(schema["offers"])
        made.kind, made.choices = "choice", list(dict.fromkeys([*made.labels, *offers]))
        made.labels |= {value: title for value, title in offers.items() if title}
    elif "enum" in schema or "const" in schema:
        made.kind, made.choices = "choice", schema.get("enum") or [schema["const"]]
    elif schema.get("type") in ("integer", "number", "boolean"):
        made.kind = schema["type"]
    elif schema.get("type") == "string":
        made.kind = "text"
    elif schema.get("type") == "array" and schema.get("items", {}).get("type") in ("string", "integer", "number"):
        made.kind, made.holds_numbers = "list", schema["items"]["type"] != "string"
    if titles := schema.get("columns"):
        row = _resolved(schema.get("items", {}), defs)[0].get("properties", dict.fromkeys(titles))
        keys = row if "items" in schema else [""] * len(titles)
        made.columns = [(key, _(title)) for key, title in zip(keys, titles, strict=True)]
    return made


_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")


def _resolved(schema: Mapping, defs: Mapping) -> tuple[dict, bool]:
    """The schema with its $ref followed and `X | None` taken apart; keys beside a reference win over what it names."""
    merged = dict(schema)
    nullable = False
    if options := merged.get("anyOf"):
        rest = [option for option in options if option.get("type") != "null"]
        nullable = len(rest) < len(options)
        if len(rest) == 1:
            merged.pop("anyOf")
            merged = {**rest[0], **merged}
    if reference := merged.pop("$ref", None):
        merged = {**defs[reference.rpartition("/")[2]], **merged}
    return merged, nullable


def words(value: Any) -> str:
    """A choice as people read it: `rao_kupper` is "rao kupper", translated where the texts know it."""
    return _(str(value).replace("_", " "))


def as_text(each: Field, value: Any) -> Any:
    """A value as a form or a command line writes it."""
    if each.kind == "boolean":
        return bool(value)
    if value is None:
        return ""
    if each.kind == "list":
        return "\n".join(map(str, value))
    if each.kind == "json":
        return json.dumps(value, ensure_ascii=False)
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)


def convert(each: Field, text: Any) -> Any:
    """The value that `text` writes; `text` itself where it writes none, for the Config to say what is wrong."""
    if not isinstance(text, str):
        return text
    text = text.replace("\r\n", "\n") if each.kind in ("text", "list") else text.strip()
    if text == "" and each.nullable:
        return None
    try:
        if each.kind == "integer":
            return int(text)
        if each.kind == "number":
            return float(_with_point(text))
        if each.kind == "boolean":
            return {"true": True, "false": False}.get(text, text)
        if each.holds_numbers:
            return [float(_with_point(line.strip())) for line in text.split("\n") if line.strip()]
        if each.kind == "json":
            value = json.loads(text, parse_constant=_no_number)
            return value if texts.is_storable(value) else text
    except (ValueError, RecursionError):
        return text
    if each.kind == "choice":
        return next((choice for choice in each.choices if str(choice) == text), text)
    if each.kind == "list":
        return [line for line in text.split("\n") if line]
    return text


def _no_number(name: str) -> None:
    """NaN and the infinities are no JSON, though Python reads them."""
    raise ValueError(name)


def _with_point(text: str) -> str:
    """0,003 is what people write whose language has a decimal comma. Only there: elsewhere 1,000 may mean a thousand."""
    if get_format("DECIMAL_SEPARATOR") == "," and text.count(",") == 1 and "." not in text:
        return text.replace(",", ".")
    return text


def told(config: Mapping[str, Any], fields: list[Field]) -> list[tuple[str, str, str]]:
    """(path, title, value in words) of each setting; by their bare names where the Config does not know them any more."""
    known = {each.path: each for each in all_leaves(fields)}
    known |= {f"{each.path}.{each.tag}": each for each in fields if each.kind == "union"}
    return [
        (path, known[path].title, known[path].shown(value)) if path in known else (path, path, value)
        for path, value in flat(config)
    ]


def config_of_texts(fields: list[Field], texts: Mapping[str, str]) -> dict[str, Any]:
    """{"tune.kind": "lora", "tune.rank": "4"} as {"tune": {"kind": "lora", "rank": 4}}, for `check_config` to judge.

    A union of which only some fields are given keeps its default's kind and values; fields of the kinds that were not
    chosen are left out. Names that the Config does not know are passed on, so that it can name them.
    """
    config: dict[str, Any] = {}
    known = {each.path: each for each in all_leaves(fields)}
    unions = {each.path: each for each in fields if each.kind == "union"}
    for path, union in unions.items():
        given = {key for key in texts if key.startswith(f"{path}.")}
        if not given:
            continue
        default = union.default or {}
        kind = texts.get(f"{path}.{union.tag}") or default.get(union.tag)
        config[path] = dict(default) if kind == default.get(union.tag) else {union.tag: kind}
        variant = next((one for one in union.variants if one.default == kind), None)
        own = {leaf.path: leaf for leaf in variant.leaves()} if variant else {}
        elsewhere = {leaf.path for one in union.variants for leaf in one.leaves()} - own.keys()
        for key in given - elsewhere - {f"{path}.{union.tag}"}:
            value = convert(own[key], texts[key]) if key in own else texts[key]
            config[path][key.removeprefix(f"{path}.")] = value
    for key, text in texts.items():
        if any(key.startswith(f"{path}.") for path in unions):
            continue
        *groups, name = key.split(".")
        place = config
        for group in groups:
            place = place.setdefault(group, {})
        place[name] = convert(known[key], text) if key in known else text
    return config
