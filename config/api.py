"""REST, version 1: each app's endpoints, a token by name and password, the OpenAPI schema and its page."""

from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView
from rest_framework.authtoken.views import obtain_auth_token
from rest_framework.permissions import IsAuthenticated

urlpatterns = [
    path("token/", obtain_auth_token, name="api-token"),
    path("schema/", SpectacularAPIView.as_view(permission_classes=[IsAuthenticated]), name="api-schema"),
    path(
        "",
        SpectacularSwaggerView.as_view(url_name="api-schema", permission_classes=[IsAuthenticated]),
        name="api-docs",
    ),
    path("", include("people.api_urls")),
    path("", include("jobs.api_urls")),
    path("", include("models_registry.api_urls")),
    path("", include("labeling.api_urls")),
    path("", include("training.api_urls")),
]
