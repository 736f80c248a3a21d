"""Pages: the ranking board."""

from django.urls import path

from .views import (
    board,
    datasets,
    exports,
    history,
    imports,
    playground,
    projects,
    questions,
    sampling,
    settings,
    tasks,
)

urlpatterns = [
    path("rank/", board.rank, name="rank"),
    path("rank/<slug:slug>/", board.board, name="rank-project"),
    path("rank/turn/<uuid:assignment>/<slug:verb>/", board.turn, name="turn"),
    path("rank/<slug:slug>/history/", history.turns, name="rank-history"),
    path("rank/<slug:slug>/history/<uuid:assignment>/", history.turn, name="rank-history-turn"),
    path("rank/<slug:slug>/history/<uuid:assignment>/revise/", history.revise, name="rank-revise"),
    # Projects
    path("projects/", projects.projects, name="projects"),
    path("projects/new/", settings.new, name="project-new"),
    path("projects/<slug:slug>/", projects.project, name="project"),
    path("projects/<slug:slug>/settings/", settings.settings, name="project-settings"),
    path("projects/<slug:slug>/state/", settings.state, name="project-state"),
    path("projects/<slug:slug>/people/", projects.members, name="project-members"),
    path("projects/<slug:slug>/questions/", questions.questions, name="project-questions"),
    path("projects/<slug:slug>/tasks/", tasks.tasks, name="project-tasks"),
    path("projects/<slug:slug>/tasks/<int:pk>/", tasks.task, name="project-task"),
    path("projects/<slug:slug>/tasks/<int:pk>/rank/", tasks.rank_task, name="project-task-rank"),
    path("projects/<slug:slug>/import/", imports.start, name="project-import"),
    path("projects/<slug:slug>/import/<slug:upload>/", imports.preview, name="project-import-preview"),
    path("projects/<slug:slug>/import/<slug:upload>/confirm/", imports.confirm, name="project-import-confirm"),
    path("projects/<slug:slug>/sample/", sampling.sample, name="project-sample"),
    path("projects/<slug:slug>/snapshots/", exports.freeze, name="project-freeze"),
    path("projects/<slug:slug>/export/", exports.project_export, name="project-export"),
    path("playground/rank/", playground.rank_outputs, name="playground-rank"),
    path("import-examples/<str:name>", imports.example, name="import-example"),
    # Data sets
    path("data/", datasets.datasets, name="datasets"),
    path("data/new/", datasets.new, name="dataset-new"),
    path("data/new/<slug:upload>/", datasets.reading, name="dataset-reading"),
    path("data/<int:pk>/", datasets.dataset, name="dataset"),
    path("data/<int:pk>/delete/", datasets.delete, name="dataset-delete"),
    path("data/<int:pk>/files/<str:name>", datasets.file, name="dataset-file"),
    path("data/<int:pk>/export/", exports.export, name="dataset-export"),
]
