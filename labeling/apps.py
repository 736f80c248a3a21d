from django.apps import AppConfig


class LabelingConfig(AppConfig):
    name = "labeling"

    def ready(self) -> None:
        from . import people_pages, places, registry_pages, trail  # noqa: F401  what labeling tells the floors below
