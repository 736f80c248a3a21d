"""Pages of short jobs."""

from django.urls import path

from . import views

urlpatterns = [
    path("<uuid:pk>/", views.job_page, name="job"),
    path("<uuid:pk>/cancel/", views.cancel, name="job-cancel"),
]
