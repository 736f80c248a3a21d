"""What the engine says to people: texts, and why a run is refused, fails or stops. Light."""

from collections.abc import Iterable

from labeling.statistics.messages import Message, _

__all__ = ["Failed", "Message", "Refused", "Stopped", "_"]


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
