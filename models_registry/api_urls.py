"""REST endpoints of the registry, under /api/v1/."""

from django.urls import path

from . import api

urlpatterns = [
    path("models/", api.VersionsView.as_view(), name="api-models"),
    path("models/<slug:name>/", api.ModelView.as_view(), name="api-model"),
    path("models/<slug:name>/v<int:number>/", api.VersionView.as_view(), name="api-version"),
    path("models/<slug:name>/v<int:number>/export/", api.ExportView.as_view(), name="api-version-export"),
    path("models/<slug:name>/v<int:number>/merge/", api.MergeView.as_view(), name="api-version-merge"),
    path("models/<slug:name>/v<int:number>/verify/", api.VerifyView.as_view(), name="api-version-verify"),
    path("models/<slug:name>/v<int:number>/score/", api.ScoreView.as_view(), name="api-version-score"),
    path("model-imports/", api.ImportView.as_view(), name="api-model-import"),
    path("model-hub-imports/", api.HubImportView.as_view(), name="api-model-hub"),
    path("remote-models/", api.RemoteView.as_view(), name="api-model-remote"),
    path("model-store/", api.StoreView.as_view(), name="api-model-store"),
]
