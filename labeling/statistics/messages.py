"""Why a figure is missing or to be taken with care, in words that are translated for whoever reads them: `gettext(why.text) % why.params`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


def _(text: str) -> str:
    """Marks a text for translation; nothing is translated here, for statistics know no Django."""
    return text


@dataclass(frozen=True)
class Message:
    """`id` is stable and made for programs; `text` holds `%(name)s` places that `params` fill."""

    id: str
    text: str
    params: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        return self.text % self.params if self.params else self.text

    def as_json(self) -> dict[str, Any]:
        return {"id": self.id, "text": self.text, "params": dict(self.params)}
