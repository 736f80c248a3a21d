"""Pages of the runs."""

from django.urls import include, path

from . import guide, views

urlpatterns = [
    path("baselines/", include("training.comparisons.urls")),
    path("guide/", guide.guide, name="guide"),
    path("runs/", views.run_list, name="runs"),
    path("runs/new/", views.run_new, name="run-new"),
    path("runs/compare/", views.compare, name="run-compare"),
    path("runs/delete/", views.delete, name="run-delete"),
    path("runs/upkeep/", views.upkeep, name="run-upkeep"),
    path("runs/upkeep/limits/", views.change_limits, name="run-limits"),
    path("runs/upkeep/leftovers/", views.delete_leftovers, name="run-leftovers"),
    path("runs/<uuid:pk>/", views.run_page, name="run"),
    path("runs/<uuid:pk>/policies/", include("training.policies.urls")),
    path("runs/<uuid:pk>/stop/", views.stop, name="run-stop"),
    path("runs/<uuid:pk>/resume/", views.resume, name="run-resume"),
    path("runs/<uuid:pk>/register/", views.register, name="run-register"),
    path("runs/<uuid:pk>/checkpoint/", views.register_checkpoint, name="run-checkpoint"),
    path("runs/<uuid:pk>/move/", views.move, name="run-move"),
    path("runs/<uuid:pk>/events.csv", views.events_csv, name="run-csv"),
    path("runs/<uuid:pk>/tensorboard.zip", views.tensorboard, name="run-tensorboard"),
    path("runs/<uuid:pk>/reproduce.json", views.reproduce_file, name="run-reproduce"),
    path("runs/<uuid:pk>/curves/<str:name>.vl.json", views.run_curve, name="run-curve"),
    path("runs/<uuid:pk>/files/<path:name>", views.run_file, name="run-file"),
]
