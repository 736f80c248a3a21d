"""Forms of the people pages. What is allowed is decided by the verbs; forms only read the input."""

from django import forms
from django.conf import settings
from django.contrib.auth.forms import AuthenticationForm
from django.utils.translation import gettext_lazy as _

from . import queries, trail
from .actions.invitations import MOST_DAYS, MOST_USES
from .models import Role


class AddPersonForm(forms.Form):
    username = forms.CharField(
        label=_("Sign-in name"), max_length=150, help_text=_("Letters, digits and @ . + - _ only.")
    )
    full_name = forms.CharField(label=_("Full name"), max_length=300, required=False)
    role = forms.ChoiceField(
        label=_("Role"),
        choices=Role.choices,
        initial=Role.ANNOTATOR,
        help_text=_(
            "Annotators rank. Researchers also see projects, models and runs, freeze snapshots and export. "
            "Admins may do everything."
        ),
    )


class SignInForm(AuthenticationForm):
    """Django's own sentence puts the field's label into it, which in some languages says the same word twice."""

    error_messages = AuthenticationForm.error_messages | {
        "invalid_login": _("This name and password do not belong together. Capitals matter in both.")
    }


class PasswordForm(forms.Form):
    old = forms.CharField(
        label=_("Present password"), widget=forms.PasswordInput(attrs={"autocomplete": "current-password"})
    )
    new = forms.CharField(
        label=_("New password"),
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=_("At least 8 characters. Several words in a row are easy to remember and hard to guess."),
    )


class InviteForm(forms.Form):
    """A link into the site or into a project."""

    role = forms.ChoiceField(label=_("Role"), choices=Role.choices, initial=Role.ANNOTATOR)
    uses = forms.IntegerField(
        label=_("For how many people"),
        min_value=1,
        max_value=MOST_USES,
        initial=1,
        help_text=_("Each makes an account of their own."),
    )
    days = forms.IntegerField(label=_("Days that it holds"), min_value=1, max_value=MOST_DAYS, initial=7)
    note = forms.CharField(
        label=_("Note"), max_length=200, required=False, help_text=_("For whom it is meant. Only admins see it.")
    )


class JoinForm(forms.Form):
    """One's own account, made by a link."""

    username = forms.CharField(
        label=_("Sign-in name"),
        max_length=150,
        help_text=_("Letters, digits and @ . + - _ only."),
        widget=forms.TextInput(attrs={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"}),
    )
    full_name = forms.CharField(
        label=_("Full name"), max_length=300, required=False, widget=forms.TextInput(attrs={"autocomplete": "name"})
    )
    password = forms.CharField(
        label=_("Password"),
        max_length=1000,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=_("At least 8 characters. Several words in a row are easy to remember and hard to guess."),
    )
    language = forms.ChoiceField(label=_("Language"), choices=settings.LANGUAGES)


class AuditForm(forms.Form):
    """What of the audit trail is asked for: stands in the address."""

    actor = forms.CharField(label=_("Person"), required=False, max_length=150)
    verb = forms.ChoiceField(label=_("What"), required=False)
    kind = forms.CharField(label=_("Kind of object"), required=False, max_length=64)
    object = forms.CharField(label=_("Its number"), required=False, max_length=64)
    first = forms.DateField(label=_("From"), required=False, widget=forms.DateInput(attrs={"type": "date"}))
    last = forms.DateField(label=_("To"), required=False, widget=forms.DateInput(attrs={"type": "date"}))
    search = forms.CharField(label=_("Search"), required=False, max_length=200)
    routine = forms.BooleanField(label=_("With every turn at the board"), required=False)

    def __init__(self, data, *, place: str = "") -> None:
        super().__init__(data)
        self.place = place
        if place:  # the turns of one project among those of all would be a long search; its tasks show them
            del self.fields["routine"]
        names = queries.verb_names(place)
        self.fields["verb"].choices = [("", _("Anything")), *((verb, verb) for verb in trail.SENTENCES)]
        self.fields["verb"].widget.choices = [
            ("", _("Anything")),
            *names.items(),
        ]  # shown; a program may ask for any other too

    def asked(self) -> queries.Asked:
        return queries.Asked(**{**self.cleaned_data, "place": self.place})
