from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class JobsConfig(AppConfig):
    name = "jobs"

    def ready(self) -> None:
        from . import trail  # noqa: F401  what its verbs are called in the audit trail

        autodiscover_modules("jobs")
