"""Pages."""

from django.urls import path

from . import trying, views

urlpatterns = [
    path("", views.models, name="models"),
    path("import/", views.import_model, name="model-import"),
    path("<slug:name>/", views.model, name="model"),
    path("<slug:name>/v<int:number>/", views.version, name="version"),
    path("<slug:name>/v<int:number>/stage/", views.stage, name="version-stage"),
    path("<slug:name>/v<int:number>/card/", views.card, name="version-card"),
    path("<slug:name>/v<int:number>/verify/", views.verify, name="version-verify"),
    path("<slug:name>/v<int:number>/try/", trying.try_version, name="version-try"),
    path("<slug:name>/v<int:number>/try/answer/", trying.answer, name="version-answer"),
]
