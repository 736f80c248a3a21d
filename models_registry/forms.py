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


class HubForm(forms.Form):
    repo = forms.CharField(
        label=_("Model on the Hub"),
        max_length=200,
        widget=forms.TextInput(attrs={"class": "mono", "spellcheck": "false", "placeholder": "owner/name"}),
    )
    revision = forms.CharField(
        label=_("Revision"),
        required=False,
        max_length=100,
        help_text=_("A branch, a tag or a commit. Left empty: main."),
    )
    name = forms.CharField(
        label=_("Name here"),
        max_length=80,
        help_text=_("Letters, digits, - and _. A name that exists already gets a new version."),
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

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.fields["parent"].queryset = queries.usable_parents()


class RemoteForm(forms.Form):
    name = forms.CharField(
        label=_("Name here"),
        max_length=80,
        help_text=_("Letters, digits, - and _. A name that exists already gets a new version."),
    )
    base_url = forms.CharField(
        label=_("Address"),
        max_length=500,
        widget=forms.URLInput(
            attrs={"class": "mono", "spellcheck": "false", "placeholder": "http://127.0.0.1:8080/v1"}
        ),
        help_text=_("Up to /v1, before /completions and /chat/completions."),
    )
    model = forms.CharField(label=_("What the server calls the model"), max_length=200)
    key_env = forms.CharField(
        label=_("Environment variable that holds the key"),
        required=False,
        max_length=90,
        widget=forms.TextInput(attrs={"class": "mono", "spellcheck": "false", "placeholder": "MY_SERVER_API_KEY"}),
        help_text=_(
            "Only its name is stored; the key stays in the environment of the site and the worker. Leave it empty for a server without a key."
        ),
    )
    chat_only = forms.BooleanField(
        label=_("It answers chats only"),
        required=False,
        help_text=_("A plain prompt is then asked as one message of a user. Many hosted models can do nothing else."),
    )
    licence = forms.CharField(label=_("Licence"), required=False, max_length=120)
    card = forms.CharField(
        label=_("Card"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text=_("What people should know about it, in Markdown."),
    )
