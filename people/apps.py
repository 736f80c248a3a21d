from django.apps import AppConfig


class PeopleConfig(AppConfig):
    name = "people"

    def ready(self) -> None:
        from . import sentences  # noqa: F401  what the verbs of people are called in the audit trail
