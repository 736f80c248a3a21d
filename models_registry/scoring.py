"""The “score” page of a reward model: a prompt and texts in, scores out, with the score after every token as a heat map. Files are labeling's: labeling/scoring.py."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from types import MappingProxyType

from django import forms
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from people.errors import Refusal, wrong_with
from people.permissions import Right, requires

from . import hooks, queries, serving_client
from .models import Head, Version
from .serving_client import Judged, Point
from .views import the_version

MOST_OUTPUTS = 100
MOST_TRACED = 20_000  # characters; a row of the table stands for each token
STRONGEST = 4  # steps of colour on either side
NOBODY: Mapping[Version, Sequence[Judged]] = MappingProxyType({})


def parts(text: str) -> list[str]:
    """Texts with a line of --- between them; a form sends lines as the web does, not as the model reads."""
    return [part.strip("\n") for part in re.split(r"(?m)^---$", text.replace("\r\n", "\n"))]


class ScoreForm(forms.Form):
    prompt = forms.CharField(
        label=gettext_lazy("Prompt"),
        required=False,
        strip=False,
        max_length=100_000,
        widget=forms.Textarea(attrs={"rows": 3}),
    )
    chat = forms.BooleanField(
        label=gettext_lazy("As a chat message"),
        required=False,
        help_text=gettext_lazy("Puts the prompt into the model's chat template."),
    )
    completions = forms.CharField(
        label=gettext_lazy("Outputs"),
        error_messages={"required": gettext_lazy("Write the output to score first.")},
        strip=False,
        max_length=200_000,
        widget=forms.Textarea(attrs={"rows": 8}),
        help_text=gettext_lazy("Several are separated by a line with --- alone."),
    )
    trace = forms.BooleanField(
        label=gettext_lazy("Show how the score comes about"),
        required=False,
        help_text=gettext_lazy("The score after every token, as colours and in a table."),
    )
    others = forms.ModelMultipleChoiceField(
        label=gettext_lazy("Beside it"),
        required=False,
        queryset=Version.objects.none(),
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy("Other reward models over the same base. How far they stand apart says how sure one may be of a score."),
    )  # fmt: skip

    def __init__(self, data: QueryDict | None, version: Version) -> None:
        super().__init__(data)
        if not version.facts.get("chat"):
            self.fields.pop("chat")
        near = [each.pk for each in queries.scorers_beside(version)]
        self.fields["others"].queryset = queries.scorers().filter(pk__in=near)
        if not near:
            self.fields.pop("others")

    def clean_completions(self) -> list[str]:
        texts = parts(self.cleaned_data["completions"])
        if len(texts) > MOST_OUTPUTS:
            raise forms.ValidationError(
                _("Here %(most)d outputs can be scored at once; put more of them into a file."),
                params={"most": MOST_OUTPUTS},
            )
        return texts

    def clean(self) -> dict:
        data = super().clean()
        if data.get("trace") and sum(map(len, data.get("completions", []))) > MOST_TRACED:
            self.add_error("trace", _("This is shown for up to %(most)d characters.") % {"most": MOST_TRACED})
        return data


@dataclass(frozen=True)
class Step:
    """A token as it is drawn: `heat` from −STRONGEST to STRONGEST; `last` may be a token without text, the end."""

    point: Point
    heat: int
    change: float | None
    last: bool

    @property
    def visible(self) -> str:
        """Its text with spaces and line ends that can be seen."""
        return self.point.text.replace(" ", "␣").replace("\n", "⏎").replace("\t", "⇥")


@dataclass(frozen=True)
class Scored:
    """`others`: what the models beside it say."""

    text: str
    judged: Judged
    steps: list[Step]
    others: list[tuple[Version, Judged]]

    @property
    def mean(self) -> float:
        return fmean(self._all)

    @property
    def std_between(self) -> float:
        return stdev(self._all)

    @property
    def _all(self) -> list[float]:
        return [self.judged.score, *(judged.score for _version, judged in self.others)]


def ranked(
    texts: Sequence[str], judged: Sequence[Judged], others: Mapping[Version, Sequence[Judged]] = NOBODY
) -> list[Scored]:
    """The best first; colours mean the same in all of them: full from 2 on, or from the strongest score where that is more."""
    traces = [each.trace or () for each in judged]
    full = max([2.0, *(abs(point.score) for trace in traces for point in trace)])
    scored = [
        Scored(text, each, _steps(trace, full), [(version, said[place]) for version, said in others.items()])
        for place, (text, each, trace) in enumerate(zip(texts, judged, traces, strict=True))
    ]
    return sorted(scored, key=lambda one: one.judged.score, reverse=True)


def _steps(trace: Sequence[Point], full: float) -> list[Step]:
    before = [None, *(point.score for point in trace)]
    return [
        Step(
            point,
            round(STRONGEST * point.score / full),
            None if earlier is None else point.score - earlier,
            place == len(trace) - 1,
        )
        for place, (point, earlier) in enumerate(zip(trace, before, strict=False))
    ]


def check_scores(version: Version) -> None:
    if version.head != Head.REWARD:
        raise Refusal(_("%(version)s is no reward model.") % {"version": version})


@require_http_methods(["GET", "POST"])
@requires(Right.TRY_MODELS)
def score(request: HttpRequest, name: str, number: int) -> HttpResponse:
    """The page; by htmx, its part with the scores alone."""
    version = the_version(name, number)
    check_scores(version)
    form = ScoreForm(request.POST or None, version)
    context = {"section": "models", "version": version, "form": form}
    if form.is_valid():
        context |= _answered(version, form.cleaned_data)
    elif form.is_bound and request.htmx:
        raise Refusal(wrong_with(form, labels=True))
    if request.htmx:
        return render(request, "models_registry/scores.html", context)
    context |= {
        "running": serving_client.health() is not None,
        "ways": hooks.scoring_ways(version, request.user),
    }
    return render(request, "models_registry/score.html", context, status=400 if form.errors else 200)


def _answered(version: Version, wanted: dict) -> dict:
    said = wanted["prompt"].replace("\r\n", "\n")
    prompt = [{"role": "user", "content": said}] if wanted.get("chat") else said
    row = (prompt, wanted["completions"])
    judgement = serving_client.judge(version, [row], trace=wanted["trace"])
    others = {each: serving_client.judge(each, [row]).rows[0] for each in wanted.get("others", ())}
    return {
        "scored": ranked(wanted["completions"], judgement.rows[0], others),
        "beside": bool(others),
        "cut": judgement.cut,
        "scaled": queries.scale(version) is not None,
        "ensemble": len(judgement.rows[0][0].by_head or ()),
        "traced": wanted["trace"],
        "colours": range(-STRONGEST, STRONGEST + 1),
    }
