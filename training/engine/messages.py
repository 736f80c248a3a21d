"""Texts that the engine shows people. Light. The web translates them: `gettext(message["text"]) % message["params"]`."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any


def _(text: str) -> str:
    """Marks a text so that `makemessages` finds it; nothing is translated here."""
    return text


@dataclass(frozen=True)
class Message:
    """`id` is stable and made for programs; `text` holds `%(name)s` places that `params` fill; a place may be filled by a message again."""

    id: str
    text: str
    params: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.text % self.params if self.params else self.text

    def as_json(self) -> dict[str, Any]:
        params = {
            name: value.as_json() if isinstance(value, Message) else value for name, value in self.params.items()
        }
        return {"id": self.id, "text": self.text, "params": params}


class Refused(Exception):
    """The run cannot be carried out as it is written. Holds everything that is wrong, not the first thing."""

    def __init__(self, problems: Message | Iterable[Message]) -> None:
        self.problems = [problems] if isinstance(problems, Message) else list(problems)
        super().__init__("; ".join(map(str, self.problems)))


class Failed(Exception):
    """The run cannot go on; the message says why in plain words and what to do."""

    def __init__(self, message: Message) -> None:
        self.message = message
        super().__init__(str(message))


class Stopped(Exception):
    """The run was asked to stop and has written its checkpoint."""
