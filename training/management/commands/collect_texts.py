"""manage.py collect_texts: brings locale/*/LC_MESSAGES/django.po up to date with the texts that people can meet.

Found are the marked texts of Python files and templates, and what the pages make of the methods' settings (choices, units). Django's
own makemessages needs the program xgettext, which a bare machine lacks, and does not know the settings.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import polib
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import override
from django.utils.translation.template import templatize

from training.engine import methods
from training.fields import Field, fields_of, words

SOURCES = ("config", "people", "jobs", "models_registry", "labeling", "training", "templates")

# What each marker takes, in order: a context, the text, its plural.
_ARGUMENTS = {
    "_": ("text",),
    "gettext": ("text",),
    "gettext_lazy": ("text",),
    "gettext_noop": ("text",),
    "ngettext": ("text", "plural"),
    "ngettext_lazy": ("text", "plural"),
    "pgettext": ("context", "text"),
    "pgettext_lazy": ("context", "text"),
    "npgettext": ("context", "text", "plural"),
    "npgettext_lazy": ("context", "text", "plural"),
}
_LITERAL = r"""u?(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
_MARKED = re.compile(rf"(?<!\w)({'|'.join(_ARGUMENTS)})\(({_LITERAL}(?:\s*,\s*{_LITERAL})*)")
_PLACE = re.compile(r"%\(\w+\)[.\d]*[a-z]|%[sd%]")


@dataclass
class Text:
    """One text to translate. `files`: where it stands, relative to the repository."""

    text: str
    plural: str = ""
    context: str = ""
    files: list[str] = field(default_factory=list)

    @property
    def key(self) -> tuple[str, str]:
        """What a catalogue holds once."""
        return self.context, self.text


class Unreadable(Exception):
    """A marked text that nobody can collect or translate."""


def collect(root: Path) -> list[Text]:
    """Every text once, in the order of files and lines. Raises Unreadable."""
    found: dict[tuple[str, str], Text] = {}
    for file, text in _all(root):
        known = found.setdefault(text.key, text)
        if text.plural != known.plural:  # gettext finds only one of them
            raise Unreadable(f"{file}: “{text.text}” has the plurals “{known.plural}” and “{text.plural}”")
        if file not in known.files:
            known.files.append(file)
    return list(found.values())


def _all(root: Path) -> Iterator[tuple[str, Text]]:
    for folder in SOURCES:
        for path in sorted((root / folder).rglob("*")):
            file = path.relative_to(root).as_posix()
            if path.suffix == ".py":
                yield from ((file, text) for text in in_python(path.read_text("utf-8"), file))
            elif path.suffix == ".html":
                yield from ((file, text) for text in in_template(path.read_text("utf-8"), file))
    for name in methods.names():
        with override("en"):
            texts = list(in_settings(fields_of(methods.config_of(name))))
        yield from ((f"training/engine/methods/{name}/config.py", Text(text)) for text in texts)


def in_python(source: str, file: str = "") -> Iterator[Text]:
    """The marked texts of a Python file, in the order of its lines."""
    calls = [node for node in ast.walk(ast.parse(source, file)) if isinstance(node, ast.Call)]
    for call in sorted(calls, key=lambda call: (call.lineno, call.col_offset)):
        name = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
        if name not in _ARGUMENTS or not call.args:
            continue
        arguments = call.args[: len(_ARGUMENTS[name])]
        if any(isinstance(each, ast.JoinedStr | ast.BinOp) for each in arguments):
            raise Unreadable(
                f"{file}, line {call.lineno}: a text must be written whole, with %(name)s where a value goes"
            )
        literals = [each.value for each in arguments if isinstance(each, ast.Constant) and isinstance(each.value, str)]
        if len(literals) == len(arguments):  # else the text comes from elsewhere, where it is marked
            yield Text(**dict(zip(_ARGUMENTS[name], literals, strict=False)))


def in_template(source: str, file: str = "") -> Iterator[Text]:
    """The texts of a template's translate and blocktranslate tags and of its _("…") arguments."""
    for name, literals in _MARKED.findall(templatize(source, file)):
        values = [ast.literal_eval(each) for each in re.findall(_LITERAL, literals)]
        yield Text(**dict(zip(_ARGUMENTS[name], values, strict=False)))


def in_settings(fields: list[Field]) -> Iterator[str]:
    """What a form shows of a method's settings."""
    for each in fields:
        yield from filter(None, (each.title, each.hint, each.unit))
        yield from map(words, each.choices)
        yield from in_settings([*each.children, *each.variants])


def update(catalogue: polib.POFile, texts: list[Text]) -> polib.POFile:
    """A catalogue of exactly these texts, with the translations that are known."""
    known = {(entry.msgctxt or "", entry.msgid): entry for entry in catalogue if not entry.obsolete}
    made = polib.POFile(wrapwidth=110)
    made.header, made.metadata = catalogue.header, catalogue.metadata
    for text in texts:
        old = known.get(text.key)
        forms = (old.msgstr_plural or {0: old.msgstr}) if old else {0: ""}
        made.append(
            polib.POEntry(
                msgctxt=text.context or None,
                msgid=text.text,
                msgid_plural=text.plural,
                msgstr="" if text.plural else forms[0],
                msgstr_plural=forms if text.plural else {},
                occurrences=[(file, "") for file in text.files],
                flags=["python-format"] if _PLACE.search(text.text) else [],
                comment=old.comment if old else "",
                tcomment=old.tcomment if old else "",
            )
        )
    return made


class Command(BaseCommand):
    help = "Bring the catalogues of translations up to date with the texts in code, templates and settings."
    requires_system_checks = []

    def handle(self, **options) -> None:
        try:
            texts = collect(settings.BASE_DIR)
        except Unreadable as error:
            raise CommandError(str(error)) from None
        for path in sorted(Path(settings.LOCALE_PATHS[0]).glob("*/LC_MESSAGES/django.po")):
            old = polib.pofile(str(path))
            new = update(old, texts)
            new.save(str(path))
            gone = {entry.msgid for entry in old} - {entry.msgid for entry in new}
            self.stdout.write(f"{path.relative_to(settings.BASE_DIR)}: {len(new)} texts, {len(gone)} gone")
            for entry in new.untranslated_entries():
                self.stdout.write(f"  not translated: {entry.msgid}")
