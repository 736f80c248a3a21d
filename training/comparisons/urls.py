"""Pages of the comparisons, under /baselines/."""

from django.urls import path

from . import views

urlpatterns = [
    path("", views.comparison_list, name="comparisons"),
    path("new/", views.comparison_new, name="comparison-new"),
    path("<int:pk>/", views.comparison_page, name="comparison"),
    path("<int:pk>/start/", views.comparison_start, name="comparison-start"),
    path("<int:pk>/cancel/", views.comparison_cancel, name="comparison-cancel"),
    path("<int:pk>/resume/", views.comparison_resume, name="comparison-resume"),
    path("<int:pk>/delete/", views.comparison_delete, name="comparison-delete"),
    path("<int:pk>/add/", views.entry_add, name="comparison-add"),
    path("<int:pk>/table.<str:form>", views.table_file, name="comparison-table"),
    path("<int:pk>/chart.vl.json", views.chart_file, name="comparison-chart"),
    path("<int:pk>/predictions.<str:form>", views.predictions_file, name="comparison-predictions"),
    path("<int:pk>/<int:number>/", views.entry_settings, name="comparison-entry"),
    path("<int:pk>/<int:number>/remove/", views.entry_remove, name="comparison-remove"),
    path("<int:pk>/<int:number>/<int:seed>/retry/", views.trial_retry, name="comparison-retry"),
    path(
        "<int:pk>/<int:number>/<int:seed>/predictions.<str:form>",
        views.trial_predictions_file,
        name="comparison-trial-predictions",
    ),
]
