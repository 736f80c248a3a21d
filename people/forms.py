"""Forms of the people pages. What is allowed is decided by the verbs; forms only read the input."""

from django import forms
from django.utils.translation import gettext_lazy as _

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


class PasswordForm(forms.Form):
    old = forms.CharField(
        label=_("Present password"), widget=forms.PasswordInput(attrs={"autocomplete": "current-password"})
    )
    new = forms.CharField(
        label=_("New password"),
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=_("At least 8 characters. Several words in a row are easy to remember and hard to guess."),
    )
