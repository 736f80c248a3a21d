"""REST endpoints of the runs, under /api/v1/."""

from django.urls import include, path

from . import actions, api

urlpatterns = [
    path("comparisons/", include("training.comparisons.api_urls")),
    path("runs/", api.RunList.as_view(), name="api-runs"),
    path("runs/<uuid:pk>/", api.RunDetail.as_view(), name="api-run"),
    path("runs/<uuid:pk>/events/", api.RunEvents.as_view(), name="api-run-events"),
    path("runs/<uuid:pk>/policies/", include("training.policies.api_urls")),
    path("runs/<uuid:pk>/stop/", api.RunVerb.as_view(verb=actions.stop_run), name="api-run-stop"),
    path("runs/<uuid:pk>/resume/", api.RunVerb.as_view(verb=actions.resume_run), name="api-run-resume"),
    path("runs/<uuid:pk>/register/", api.RunRegister.as_view(), name="api-run-register"),
    path("runs/<uuid:pk>/checkpoint/", api.RunCheckpoint.as_view(), name="api-run-checkpoint"),
    path("runs/<uuid:pk>/move/", api.RunMove.as_view(), name="api-run-move"),
    path("runs/<uuid:pk>/events.csv", api.RunCsv.as_view(), name="api-run-csv"),
    path("runs/<uuid:pk>/tensorboard.zip", api.RunTensorboard.as_view(), name="api-run-tensorboard"),
    path("runs/<uuid:pk>/reproduce/", api.RunReproduce.as_view(), name="api-run-reproduce"),
    path("runs/upkeep/", api.Upkeep.as_view(), name="api-runs-upkeep"),
    path("methods/", api.MethodList.as_view(), name="api-methods"),
    path("methods/<slug:name>/", api.MethodDetail.as_view(), name="api-method"),
]
