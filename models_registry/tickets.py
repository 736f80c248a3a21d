"""An output that the site itself has seen being written, sealed, so that a browser can hand it on and nobody can change it on the way."""

from dataclasses import asdict, dataclass
from typing import Any

from django.core import signing
from django.utils.translation import gettext as _

from people.errors import Refusal

_SALT = "models_registry.output"
GOOD_FOR = 24 * 3600  # seconds


@dataclass(frozen=True)
class Seen:
    """One whole output: who wrote it (a version's pk), to which prompt (text or messages), and how it was sampled."""

    version: int
    prompt: Any
    text: str
    sampling: dict


def seal(seen: Seen) -> str:
    return signing.dumps(asdict(seen), salt=_SALT, compress=True)


def opened(ticket: str) -> Seen:
    """Refusal when the ticket is not ours, was changed, or is a day old."""
    try:
        return Seen(**signing.loads(ticket, salt=_SALT, max_age=GOOD_FOR))
    except (signing.BadSignature, TypeError):
        raise Refusal(
            _("These outputs are a day old or were changed on the way. Let them be written again.")
        ) from None
