"""Verbs of exports: what leaves the house is noted."""

from dataclasses import asdict

from ..models import User, audit
from ..permissions import Right, check
from ..queries import Asked


def note_audit_export(*, actor: User, asked: Asked, place=None) -> None:
    """Somebody takes the audit trail, or that of `place`, away as a file."""
    check(actor, Right.SEE_AUDIT, place=place)
    said = {f"asked_{name}": str(value) for name, value in asdict(asked).items() if value}
    audit(actor, "audit.export", place or actor, **said)
