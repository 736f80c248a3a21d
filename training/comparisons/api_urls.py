"""REST endpoints of the comparisons, under /api/v1/comparisons/."""

from django.urls import path

from . import actions, api

urlpatterns = [
    path("", api.ComparisonList.as_view(), name="api-comparisons"),
    path("methods/", api.MenuList.as_view(), name="api-comparison-methods"),
    path("<int:pk>/", api.ComparisonDetail.as_view(), name="api-comparison"),
    path("<int:pk>/start/", api.ComparisonVerb.as_view(verb=actions.start), name="api-comparison-start"),
    path("<int:pk>/cancel/", api.ComparisonVerb.as_view(verb=actions.cancel), name="api-comparison-cancel"),
    path("<int:pk>/resume/", api.ComparisonVerb.as_view(verb=actions.resume), name="api-comparison-resume"),
    path("<int:pk>/methods/", api.EntryList.as_view(), name="api-comparison-add"),
    path("<int:pk>/methods/<int:number>/<int:seed>/retry/", api.TrialRetry.as_view(), name="api-comparison-retry"),
    path("<int:pk>/predictions/", api.Predictions.as_view(), name="api-comparison-predictions"),
]
