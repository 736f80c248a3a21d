from django.apps import AppConfig


class TrainingConfig(AppConfig):
    name = "training"

    def ready(self) -> None:
        from . import sections, trail  # noqa: F401  what the runs add to the pages of versions and data sets, and to the audit trail
        from .comparisons import sections as comparisons  # noqa: F401  and the comparisons
