"""Pages."""

from django.urls import path

from . import elsewhere, playground, scoring, trying, upkeep, views

urlpatterns = [
    path("", views.models, name="models"),
    path("import/", views.import_model, name="model-import"),
    path("hub/", elsewhere.import_hub, name="model-hub"),
    path("remote/", elsewhere.register_remote, name="model-remote"),
    path("remote/test/", elsewhere.test_remote, name="model-remote-test"),
    path("playground/", playground.playground, name="playground"),
    path("compare/", upkeep.compare, name="models-compare"),
    path("disk/", upkeep.disk, name="models-disk"),
    path("disk/reclaim/", upkeep.reclaim, name="models-reclaim"),
    path("disk/verify/", upkeep.verify_all, name="models-verify"),
    path("<slug:name>/", views.model, name="model"),
    path("<slug:name>/v<int:number>/", views.version, name="version"),
    path("<slug:name>/v<int:number>/stage/", views.stage, name="version-stage"),
    path("<slug:name>/v<int:number>/card/", views.card, name="version-card"),
    path("<slug:name>/v<int:number>/verify/", views.verify, name="version-verify"),
    path("<slug:name>/v<int:number>/export/", upkeep.export, name="version-export"),
    path("<slug:name>/v<int:number>/merge/", upkeep.merge, name="version-merge"),
    path("<slug:name>/v<int:number>/delete/", upkeep.delete, name="version-delete"),
    path("<slug:name>/v<int:number>/test/", elsewhere.test_version, name="version-test"),
    path("<slug:name>/v<int:number>/try/", trying.try_version, name="version-try"),
    path("<slug:name>/v<int:number>/try/answer/", trying.answer, name="version-answer"),
    path("<slug:name>/v<int:number>/score/", scoring.score, name="version-score"),
]
