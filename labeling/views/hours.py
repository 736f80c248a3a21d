"""Hours and counts: who worked how much, by project and day; as a page, as CSV and as JSON. And everyone's own."""

from datetime import timedelta

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from labeling import actions, people_queries, places
from labeling.models import Project
from labeling.people_queries import Day
from labeling.views.lists import page_of
from people.downloads import download
from people.errors import Refusal, wrong_with
from people.models import User
from people.permissions import ANYWHERE, Right, requires, signed_in

COLUMNS = [
    "day", "person", "name", "project", "rankings", "aside", "changed", "skips", "flags", "seconds", "hours",
]  # fmt: skip
LONGEST = 366  # days


class PeriodForm(forms.Form):
    """Stands in the address. Without dates: this month."""

    first = forms.DateField(label=_("From"), required=False, widget=forms.DateInput(attrs={"type": "date"}))
    last = forms.DateField(label=_("To"), required=False, widget=forms.DateInput(attrs={"type": "date"}))
    project = forms.SlugField(required=False)
    person = forms.CharField(label=_("Person"), required=False, max_length=150)

    def clean(self) -> dict:
        given = self.cleaned_data
        given["last"] = given.get("last") or timezone.localdate()
        given["first"] = given.get("first") or given["last"].replace(day=1)
        if given["first"] > given["last"]:
            raise forms.ValidationError(_("The first day is behind the last."))
        if given["last"] - given["first"] > timedelta(days=LONGEST):
            raise forms.ValidationError(_("Ask for a year at most."))
        return given


def _period(request: HttpRequest) -> PeriodForm:
    form = PeriodForm(request.GET)
    if not form.is_valid():
        raise Refusal(wrong_with(form))
    return form


def asked_for(request: HttpRequest, project: Project | None = None) -> tuple[PeriodForm, list[Day]]:
    """The days that the address asks for, in the projects whose hours the asker may see."""
    form = _period(request)
    given = form.cleaned_data
    projects = [project] if project else list(places.projects_with(request.user, Right.SEE_HOURS))
    if given["project"]:
        projects = [each for each in projects if each.slug == given["project"]]
    person = None
    if given["person"]:
        person = User.objects.filter(username__iexact=given["person"]).first()
        if person is None:
            return form, []
    return form, people_queries.hours(projects=projects, first=given["first"], last=given["last"], person=person)


@require_GET
@requires(Right.SEE_HOURS, place=ANYWHERE)
@never_cache
def hours(request: HttpRequest) -> HttpResponse:
    """Of all projects whose hours one may see."""
    form, days = asked_for(request)
    projects = places.projects_with(request.user, Right.SEE_HOURS).order_by("name")
    return render(
        request, "labeling/hours.html", {"tab": "hours", "projects": projects, **_about(request, form, days)}
    )


@require_GET
@requires(Right.SEE_HOURS, place=places.project)
@never_cache
def project_hours(request: HttpRequest, slug: str) -> HttpResponse:
    project = get_object_or_404(Project, slug=slug)
    form, days = asked_for(request, project)
    return render(
        request, "labeling/project_hours.html", {"project": project, "tab": "people", **_about(request, form, days)}
    )


@require_GET
@signed_in
@never_cache
def own_hours(request: HttpRequest) -> HttpResponse:
    """One's own: nobody has to ask an admin what they have done."""
    form = _period(request)
    given = form.cleaned_data
    days = people_queries.hours(
        projects=Project.objects.filter(assignments__annotator=request.user).distinct(),
        first=given["first"],
        last=given["last"],
        person=request.user,
    )
    return render(request, "labeling/own_hours.html", _about(request, form, days))


def _about(request: HttpRequest, form: PeriodForm, days: list[Day]) -> dict[str, object]:
    return {
        "form": form,
        "given": form.cleaned_data,
        "kept": request.GET.urlencode(),
        "totals": people_queries.totals(days),
        "sum": people_queries.sum_of(days),
        "page": page_of(request, days, size=100),
    }


@require_GET
@requires(Right.SEE_HOURS, place=ANYWHERE)
def hours_file(request: HttpRequest) -> HttpResponse:
    """What the page shows, a row a day, person and project: `as=csv` or `as=json`."""
    form, days = asked_for(request)
    return as_file(request, form, days)


@require_GET
@requires(Right.SEE_HOURS, place=places.project)
def project_hours_file(request: HttpRequest, slug: str) -> HttpResponse:
    project = get_object_or_404(Project, slug=slug)
    form, days = asked_for(request, project)
    return as_file(request, form, days, project)


def as_file(
    request: HttpRequest, form: PeriodForm, days: list[Day], project: Project | None = None, kind: str = ""
) -> HttpResponse:
    given = form.cleaned_data
    actions.export_hours(actor=request.user, project=project, first=given["first"], last=given["last"])
    name = f"hours-{given['first']}-{given['last']}"
    return download(map(as_row, days), COLUMNS, name, "json" if (kind or request.GET.get("as")) == "json" else "csv")


def as_row(day: Day) -> dict[str, object]:
    """A day as plain data; see Day for what is counted."""
    return {
        "day": day.day.isoformat(),
        "person": day.user.username,
        "name": str(day.user),
        "project": day.project.slug,
        "rankings": day.rankings,
        "aside": day.aside,
        "changed": day.changed,
        "skips": day.skips,
        "flags": day.flags,
        "seconds": round(day.seconds, 1),
        "hours": round(day.hours, 3),
    }
