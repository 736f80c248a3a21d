"""The tables of settings in docs/methods/*.md, from each method's Config: `python -m training.engine.reference` brings them up to date."""

import re
from collections.abc import Iterator
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
    lines = ["| setting | default | meaning |", "|---|---|---|"]
    for name, field in schema["properties"].items():
        meaning = field.get("description", "")
        details = [*_kinds(field, schema.get("$defs", {})), *_limits(field)]
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
    pattern = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    return pattern.sub(lambda _found: f"{BEGIN}\n\n{table(method)}\n\n{END}", text)


def main() -> None:
    for method in methods.names():
        page = DOCS / f"{method}.md"
        if page.exists():
            page.write_text(updated(page.read_text("utf-8"), method), "utf-8")


if __name__ == "__main__":
    main()
