"""All addresses. Each app brings its pages (urls.py) and its endpoints (api_urls.py)."""

from django.urls import include, path

urlpatterns = [
    path("", include("people.urls")),
    path("", include("labeling.urls")),
    path("jobs/", include("jobs.urls")),
    path("models/", include("models_registry.urls")),
    path("", include("training.urls")),
    path("api/v1/", include("config.api")),
    path("i18n/", include("django.conf.urls.i18n")),
]
