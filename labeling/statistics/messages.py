"""Texts of statistics and engine for people. Light. Translated for whoever reads them: `gettext(message.text) % message.params`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


def _(text: str) -> str:
    """Marks a text so that `collect_texts` finds it; nothing is translated here, for neither statistics nor engine know Django."""
    return text


@dataclass(frozen=True)
class Message:
    """`id` is stable and made for programs; `text` holds `%(name)s` places that `params` fill; a place may be filled by a message again."""

    id: str
    text: str
    params: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        return self.text % self.params if self.params else self.text

    def as_json(self) -> dict[str, Any]:
        params = {
            name: value.as_json() if isinstance(value, Message) else value for name, value in self.params.items()
        }
        return {"id": self.id, "text": self.text, "params": params}
