"""Forms of the registry's pages. What is allowed is decided by the verbs; forms only read the input."""

from django import forms
from django.conf import settings
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from . import queries


class _ManyFiles(forms.ClearableFileInput):
    allow_multiple_selected = True


class _FilesField(forms.FileField):
    widget = _ManyFiles

    def clean(self, data, initial=None):
        return [super(_FilesField, self).clean(each, initial) for each in data if each]


class ImportForm(forms.Form):
    name = forms.CharField(
        label=_("Name"),
        max_length=80,
        help_text=_("Letters, digits, - and _. A name that exists already gets a new version."),
    )
    files = _FilesField(
        label=_("Files from your computer"),
        required=False,
        help_text=_(
            "All files of the model's folder (config.json, model.safetensors, tokenizer.json, …), or one zip of them."
        ),
    )
    path = forms.CharField(
        label=_("Or a folder on the server"),
        required=False,
        max_length=1000,
        widget=forms.TextInput(attrs={"class": "mono", "spellcheck": "false", "placeholder": "/home/…/my-model"}),
    )
    parent = forms.ModelChoiceField(
        label=_("Parent"),
        queryset=None,
        required=False,
        empty_label=_("none: full weights"),
        help_text=_("For an adapter: the version that it stands on."),
    )
    licence = forms.CharField(
        label=_("Licence"),
        required=False,
        max_length=120,
        help_text=_("Left empty, it is read from the model's README.md."),
    )
    card = forms.CharField(
        label=_("Card"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text=_("What people should know about it, in Markdown. Left empty, it is the model's README.md."),
    )

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.fields["parent"].queryset = queries.usable_parents()
        places = ", ".join(map(str, settings.IMPORT_ROOTS))
        self.fields["path"].help_text = gettext("It must lie under one of these: %(places)s.") % {"places": places}

    def clean(self) -> dict:
        data = super().clean()
        if bool(data.get("files")) == bool(data.get("path")):
            self.add_error("files", _("Choose files, or name a folder on the server: one of the two."))
        return data


class CardForm(forms.Form):
    licence = forms.CharField(label=_("Licence"), required=False, max_length=120)
    card = forms.CharField(
        label=_("Card"), required=False, widget=forms.Textarea(attrs={"rows": 12}), help_text=_("Markdown")
    )
