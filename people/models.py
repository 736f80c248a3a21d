"""People, what they did and what they were told: the user, the audit trail that every app writes to, notices."""

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from . import sql, trail


class Role(models.TextChoices):
    ANNOTATOR = "annotator", _("annotator")
    RESEARCHER = "researcher", _("researcher")
    ADMIN = "admin", _("admin")


class User(AbstractUser):
    """A person. `role` holds for the whole site; a project may give more (labeling.Membership)."""

    role = models.CharField(max_length=16, choices=Role, default=Role.ANNOTATOR)
    language = models.CharField(max_length=8, blank=True)
    is_simulated = models.BooleanField(default=False, help_text="A program that plays an annotator, never a person.")
    loopback_only = models.BooleanField(default=False, help_text="A demo sign-in: refused from any other machine.")

    def __str__(self) -> str:
        return self.get_full_name() or self.username


class Invitation(models.Model):
    """A link by which somebody makes their own account. Only a hash of its secret is stored; other apps may add what it opens."""

    digest = models.CharField(max_length=64, unique=True)  # sha256 of the secret in the link
    role = models.CharField(max_length=16, choices=Role, default=Role.ANNOTATOR)
    note = models.CharField(max_length=200, blank=True)  # for whom it is meant
    uses_left = models.PositiveIntegerField(default=1)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    accepted_by = models.ManyToManyField(User, related_name="accepted_invitations")

    class Meta:
        ordering = ["-created_at", "-pk"]


class FailedSignIn(models.Model):
    """One wrong password. `who` is a digest of the name and of where it was tried (people/attempts.py)."""

    who = models.CharField(max_length=64)
    at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["who", "at"]), models.Index(fields=["at"])]


class AuditEntry(models.Model):
    """One row for each change of state: who did what to which object. Never changed, never deleted.

    Nearly all of them are routine, the turns at the board. The others have indexes of their own, which a turn at the board does not write to.
    """

    at = models.DateTimeField(auto_now_add=True)
    actor = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )  # the beginning of an index below
    verb = models.CharField(max_length=64)
    object_type = models.CharField(max_length=64)
    object_id = models.CharField(max_length=64)
    data = models.JSONField(default=dict)
    place = models.CharField(
        max_length=64, default="", db_default=""
    )  # what it belongs to, as in jobs: "labeling.project:12"
    routine = models.BooleanField(default=False, db_default=False)

    class Meta:
        indexes = [
            models.Index(fields=["object_type", "object_id", "at"]),
            models.Index(fields=["actor", "id"], name="audit_of_a_person"),
            models.Index(fields=["id"], condition=models.Q(routine=False), name="audit_of_decisions"),
            models.Index(fields=["actor", "id"], condition=models.Q(routine=False), name="audit_of_a_deciding_person"),
            models.Index(fields=["place", "id"], condition=models.Q(routine=False), name="audit_of_a_place"),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.actor or 'system'} {self.verb} {self.object_type} {self.object_id}"


class Notice(models.Model):
    """Something that happened while a person did something else. `text` is a msgid that `params` fill, so that it is read in any language."""

    person = models.ForeignKey(User, on_delete=models.CASCADE, related_name="notices")
    at = models.DateTimeField(auto_now_add=True)
    text = models.CharField(max_length=300)
    params = models.JSONField(default=dict)
    address = models.CharField(max_length=300)  # of the page that it is about
    read_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-at", "-pk"]
        indexes = [models.Index(fields=["person", "read_at"]), models.Index(fields=["person", "-at"])]

    def __str__(self) -> str:
        """The sentence in the language of the reader."""
        return gettext(self.text) % self.params


def audit(actor: User | None, verb: str, obj: models.Model, **data: object) -> None:
    """Write the one audit row of a state change; call it inside the verb's transaction."""
    sql.insert(
        AuditEntry(
            actor_id=actor.pk if actor else None,
            verb=verb,
            object_type=obj._meta.label,
            object_id=str(obj.pk),
            data=data,
            place=trail.place_of(obj),
            routine=verb in trail.ROUTINE,
        )
    )
