"""The tables of settings in docs/methods/*.md, from each method's Config: `python -m training.engine.reference` brings them up to date.

A setting that is one of several kinds, each with settings of its own, is shared by the methods and has a page of its own: tune.md.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from textwrap import wrap
from typing import Any

from . import methods

DOCS = Path(__file__).parents[2] / "docs" / "methods"
BEGIN, END = "<!-- settings: written by python -m training.engine.reference -->", "<!-- end of settings -->"
_BOUNDS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "more than {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "less than {}",
}


def table(method: str) -> str:
    """Name, default, unit and bounds, meaning and source of every setting, as Markdown."""
    schema = methods.config_of(method).model_json_schema()
    return _rows(schema["properties"].items(), schema.get("$defs", {}))


def kinds_table(name: str) -> str:
    """The kinds of a setting such as `tune`, of all methods that have it, each with its own settings."""
    kinds: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}

    def options(schema: dict[str, Any]) -> list[dict[str, Any]]:
        return schema["properties"].get(name, {}).get("oneOf", [])

    schemas = [methods.config_of(method).model_json_schema() for method in methods.names()]
    for schema in sorted(schemas, key=lambda schema: -len(options(schema))):  # the fullest tells the order
        for option in options(schema):
            about = schema["$defs"][option["$ref"].rsplit("/", 1)[1]]
            kinds.setdefault(about["properties"]["kind"]["const"], (about, schema["$defs"]))
    parts = []
    for kind, (about, definitions) in kinds.items():
        inside = [(f"{name}.{field}", facts) for field, facts in about["properties"].items() if field != "kind"]
        text = " ".join(about.get("description", "").split())
        parts.append(
            f"### `{kind}`: {about['title']}\n\n{text}" + (f"\n\n{_rows(inside, definitions)}" if inside else "")
        )
    return "\n\n".join(parts)


def unions() -> list[str]:
    """The settings that are one of several kinds, in any method."""
    found = {
        name: None
        for method in methods.names()
        for name, field in methods.config_of(method).model_json_schema()["properties"].items()
        if "oneOf" in field
    }
    return list(found)


def _rows(fields: Iterable[tuple[str, dict[str, Any]]], definitions: dict[str, Any]) -> str:
    lines = ["| setting | default | meaning |", "|---|---|---|"]
    for name, field in fields:
        meaning = field.get("description", "")
        if "oneOf" in field:
            meaning += f" The settings of each kind: [{name}.md]({name}.md)."
        details = [*_kinds(field, definitions), *_limits(field)]
        if unit := field.get("unit"):
            details.insert(0, unit)
        if details:
            meaning += f" *{'; '.join(details)}*"
        if source := field.get("source"):
            meaning += f" ({source})"
        lines.append(f"| `{name}` | {_default(field.get('default'))} | {meaning} |")
    return "\n".join(line.replace("\n", " ") for line in lines)


def text(method: str) -> str:
    """The same for a terminal: `python -m training.engine --explain METHOD`. What a union holds is told as well."""
    facts = methods.facts_of(method)
    schema = methods.config_of(method).model_json_schema()
    lines = [f"{method}: {facts.summary}", "", "inputs:"]
    for role, takes in facts.inputs.items():
        lines.append(f"  {role} ({takes.kind}: {', '.join(takes.accepts)}){'' if takes.required else ', optional'}")
    lines += ["", "settings:"]
    for path, fields in _with_variants(schema):
        meaning = " ".join(fields.get("description", "").split())
        details = [fields.get("unit"), *_kinds(fields, schema.get("$defs", {})), *_limits(fields)]
        details.append("default " + _default(fields.get("default")))
        lines.append(f"  {path}")
        told = f"{meaning} [{'; '.join(filter(None, details))}]".replace("`", "")
        lines += wrap(told, 100, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return "\n".join(lines)


def _with_variants(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(path, field) of every setting; those of a union's kinds as `tune.rank (lora)`."""
    for name, field in schema["properties"].items():
        yield name, field
        for option in field.get("oneOf", []):
            inside = schema["$defs"][option["$ref"].rsplit("/", 1)[1]]["properties"]
            for inner, about in inside.items():
                if inner != "kind":
                    yield f"{name}.{inner} ({inside['kind']['const']})", about


def _default(value: Any) -> str:
    if value is None:
        return "empty"
    if isinstance(value, dict):
        return f"`{value.get('kind', value)}`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _limits(field: dict[str, Any]) -> list[str]:
    options = [field, *field.get("anyOf", [])]
    return [text.format(option[key]) for key, text in _BOUNDS.items() for option in options if key in option]


def _kinds(field: dict[str, Any], definitions: dict[str, Any]) -> list[str]:
    choices = field.get("enum") or [
        definitions[option["$ref"].rsplit("/", 1)[1]]["properties"]["kind"]["const"]
        for option in field.get("oneOf", [])
    ]
    return [", ".join(f"`{choice}`" for choice in choices)] if choices else []


def updated(text: str, method: str) -> str:
    """A docs page with its table of settings as it should be; unchanged if it has no place for one."""
    return _between(text, table(method))


def _between(text: str, written: str) -> str:
    pattern = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    return pattern.sub(lambda _found: f"{BEGIN}\n\n{written}\n\n{END}", text)


def main() -> None:
    for method in methods.names():
        page = DOCS / f"{method}.md"
        if page.exists():
            page.write_text(updated(page.read_text("utf-8"), method), "utf-8")
    for name in unions():
        page = DOCS / f"{name}.md"
        if page.exists():
            page.write_text(_between(page.read_text("utf-8"), kinds_table(name)), "utf-8")


if __name__ == "__main__":
    main()
