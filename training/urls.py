"""Pages of the runs."""

from django.urls import include, path

from . import guide, views

urlpatterns = [
    path("baselines/", include("training.comparisons.urls")),
    path("guide/", guide.guide, name="guide"),
    path("runs/", views.run_list, name="runs"),
    path("runs/new/", views.run_new, name="run-new"),
    path("runs/<uuid:pk>/", views.run_page, name="run"),
    path("runs/<uuid:pk>/stop/", views.stop, name="run-stop"),
    path("runs/<uuid:pk>/resume/", views.resume, name="run-resume"),
    path("runs/<uuid:pk>/register/", views.register, name="run-register"),
    path("runs/<uuid:pk>/curves/<str:name>.vl.json", views.run_curve, name="run-curve"),
    path("runs/<uuid:pk>/files/<path:name>", views.run_file, name="run-file"),
]
