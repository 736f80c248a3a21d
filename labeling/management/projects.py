"""The project that a command means."""

from django.core.management.base import CommandError

from labeling.models import Project


def project_called(slug: str) -> Project:
    found = Project.objects.filter(slug=slug).first()
    if found is None:
        known = ", ".join(Project.objects.values_list("slug", flat=True)) or "none yet"
        raise CommandError(f"There is no project “{slug}”. Projects: {known}.")
    return found
