"""All addresses. Each app brings its pages (urls.py) and its endpoints (api_urls.py)."""

from django.urls import include, path

from . import home

urlpatterns = [
    path("", home.home, name="home"),
    path("", include("people.urls")),
    path("", include("labeling.urls")),
    path("jobs/", include("jobs.urls")),
    path("models/", include("models_registry.urls")),
    path("", include("training.urls")),
    path("api/v1/", include("config.api")),
]
