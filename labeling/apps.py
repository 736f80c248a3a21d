from django.apps import AppConfig


class LabelingConfig(AppConfig):
    name = "labeling"

    def ready(self) -> None:
        from . import places, registry_pages  # noqa: F401  what labeling tells the floors below
