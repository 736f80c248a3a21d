"""Addresses of a run's policies, under /runs/<its number>/policies/."""

from django.urls import path

from . import views

urlpatterns = [
    path("", views.panel, name="run-policies"),
    path("<int:step>/register/", views.register, name="run-policy-register"),
    path("pairs/", views.send, name="run-pairs"),
    path("judge/", views.judge, name="run-judge"),
]
