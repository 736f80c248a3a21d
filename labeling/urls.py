"""Pages: the ranking board."""

from django.urls import path

from .views import board

urlpatterns = [
    path("rank/", board.rank, name="rank"),
    path("rank/<slug:slug>/", board.board, name="rank-project"),
    path("rank/turn/<uuid:assignment>/<slug:verb>/", board.turn, name="turn"),
]
