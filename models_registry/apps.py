from django.apps import AppConfig


class ModelsRegistryConfig(AppConfig):
    name = "models_registry"

    def ready(self) -> None:
        from . import trail  # noqa: F401  what its verbs are called in the audit trail
