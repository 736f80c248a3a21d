"""What can be done to people and by them: verbs with an actor, one transaction, one audit row.

accounts     made, given a role, closed, their passwords; one's own account
invitations  links by which people make their own account, or join with the one they have
groups       people who get tasks together
exports      what leaves the house is noted
"""

from .accounts import (
    add_person,
    change_own_password,
    change_role,
    deactivate,
    generated_password,
    reactivate,
    reset_password,
    revoke_token,
    rotate_token,
    set_language,
)
from .exports import note_audit_export
from .groups import add_to_group, create_group, delete_group, remove_from_group, rename_group
from .invitations import accept, accept_as_new, digest_of, find_invitation, invite, revoke_invitation

__all__ = [
    "accept",
    "accept_as_new",
    "add_person",
    "add_to_group",
    "change_own_password",
    "change_role",
    "create_group",
    "deactivate",
    "delete_group",
    "digest_of",
    "find_invitation",
    "generated_password",
    "invite",
    "note_audit_export",
    "reactivate",
    "remove_from_group",
    "rename_group",
    "reset_password",
    "revoke_invitation",
    "revoke_token",
    "rotate_token",
    "set_language",
]
