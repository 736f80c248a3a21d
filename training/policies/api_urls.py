"""REST endpoints of a run's policies, under /api/v1/runs/<its number>/policies/."""

from django.urls import path

from . import api

urlpatterns = [
    path("", api.PolicyList.as_view(), name="api-run-policies"),
    path("<int:step>/register/", api.PolicyRegister.as_view(), name="api-run-policy-register"),
    path("pairs/", api.FreshPairsSend.as_view(), name="api-run-pairs"),
    path("judge/", api.JudgeAsk.as_view(), name="api-run-judge"),
]
