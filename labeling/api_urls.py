"""REST endpoints of labeling, under /api/v1/."""

from django.urls import path

from . import api, api_projects

urlpatterns = [
    path("projects/", api_projects.ProjectList.as_view(), name="api-projects"),
    path("projects/<slug:slug>/", api_projects.ProjectDetail.as_view(), name="api-project"),
    path("projects/<slug:slug>/claim/", api.Claim.as_view(), name="api-claim"),
    path("projects/<slug:slug>/import/", api.ImportIntoProject.as_view(), name="api-import"),
    path("projects/<slug:slug>/sample/", api.SampleForProject.as_view(), name="api-sample"),
    path("projects/<slug:slug>/snapshots/", api.Snapshots.as_view(), name="api-snapshots"),
    path("projects/<slug:slug>/turns/", api.ProjectTurns.as_view(), name="api-turns"),
    path("assignments/<uuid:pk>/submit/", api.Submit.as_view(), name="api-submit"),
    path("assignments/<uuid:pk>/revise/", api.Revise.as_view(), name="api-revise"),
    path("assignments/<uuid:pk>/skip/", api.Skip.as_view(), name="api-skip"),
    path("assignments/<uuid:pk>/flag/", api.Flag.as_view(), name="api-flag"),
    path("assignments/<uuid:pk>/undo/", api.Undo.as_view(), name="api-undo"),
    path("assignments/<uuid:pk>/extend/", api.Extend.as_view(), name="api-extend"),
    path("datasets/", api.DatasetList.as_view(), name="api-datasets"),
    path("datasets/<int:pk>/", api.DatasetDetail.as_view(), name="api-dataset"),
    path("datasets/<int:pk>/rows/", api.DatasetRows.as_view(), name="api-dataset-rows"),
    path("datasets/<int:pk>/pairs/", api.DatasetPairs.as_view(), name="api-dataset-pairs"),
    path("datasets/<int:pk>/acceptable/", api.DatasetAcceptable.as_view(), name="api-dataset-acceptable"),
    path("datasets/<int:pk>/consensus/", api.DatasetConsensus.as_view(), name="api-dataset-consensus"),
]
