from django.apps import AppConfig


class LabelingConfig(AppConfig):
    name = "labeling"

    def ready(self) -> None:
        from . import registry_pages  # noqa: F401  what labeling adds to the registry's pages
