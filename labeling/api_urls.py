"""REST endpoints of labeling, under /api/v1/."""

from django.urls import path

from . import api, api_projects, api_quality

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
    path("projects/<slug:slug>/quality/", api_quality.QualityOfProject.as_view(), name="api-quality"),
    path("projects/<slug:slug>/review/", api_quality.ReviewList.as_view(), name="api-review"),
    path("projects/<slug:slug>/review/<int:pk>/", api_quality.ReviewTask.as_view(), name="api-review-task"),
    path("projects/<slug:slug>/review/<int:pk>/adjudicate/", api_quality.Adjudicate.as_view(), name="api-adjudicate"),
    path("projects/<slug:slug>/review/<int:pk>/close/", api_quality.CloseTask.as_view(), name="api-close-task"),
    path("projects/<slug:slug>/review/<int:pk>/reopen/", api_quality.ReopenTask.as_view(), name="api-reopen-task"),
    path("projects/<slug:slug>/review/<int:pk>/one-more/", api_quality.OneMore.as_view(), name="api-one-more"),
    path("projects/<slug:slug>/review/<int:pk>/comments/", api_quality.Remark.as_view(), name="api-remark"),
    path("projects/<slug:slug>/questions/<int:pk>/answer/", api_quality.Answer.as_view(), name="api-answer"),
    path("projects/<slug:slug>/questions/<int:pk>/resolve/", api_quality.Resolve.as_view(), name="api-resolve"),
    path("assignments/<uuid:pk>/questions/", api_quality.Ask.as_view(), name="api-ask"),
    path("datasets/", api.DatasetList.as_view(), name="api-datasets"),
    path("datasets/<int:pk>/", api.DatasetDetail.as_view(), name="api-dataset"),
    path("datasets/<int:pk>/rows/", api.DatasetRows.as_view(), name="api-dataset-rows"),
    path("datasets/<int:pk>/pairs/", api.DatasetPairs.as_view(), name="api-dataset-pairs"),
    path("datasets/<int:pk>/acceptable/", api.DatasetAcceptable.as_view(), name="api-dataset-acceptable"),
    path("datasets/<int:pk>/consensus/", api.DatasetConsensus.as_view(), name="api-dataset-consensus"),
]
