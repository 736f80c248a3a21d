"""REST: one's own rankings, by the questions that the history page asks."""

from dataclasses import asdict

from django.http import Http404
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.response import Response
from rest_framework.views import APIView

from labeling import history, queries
from labeling.api_parts import PromptField
from labeling.models import Assignment, Project
from people.permissions import HasRight, Right


class TurnSerializer(serializers.ModelSerializer):
    """One of your finished turns, in the letters that you were shown."""

    assignment = serializers.UUIDField(source="pk")
    prompt = PromptField(source="task.prompt.content")
    ranking = serializers.SerializerMethodField(
        help_text="What you say now; empty if you skipped or flagged the task."
    )

    reason = serializers.SerializerMethodField(help_text="Why you skipped or flagged it.")

    class Meta:
        model = Assignment
        fields = ["assignment", "prompt", "ranking", "state", "reason", "revisions", "finished_at"]

    def get_reason(self, turn: Assignment) -> str:
        return history.reason(turn)

    def get_ranking(self, turn: Assignment) -> str:
        return history.notation(turn)


class RevisionSerializer(serializers.Serializer):
    number = serializers.IntegerField()
    at = serializers.DateTimeField()
    notation = serializers.CharField()
    comment = serializers.CharField()
    about_outputs = serializers.DictField(help_text="By letter, [question, answer] each.")
    about_task = serializers.ListField(help_text="[question, answer] each.")
    current = serializers.BooleanField()


class TurnDetailSerializer(TurnSerializer):
    """With all that was said about it, newest first."""

    versions = RevisionSerializer(many=True, read_only=True)

    class Meta(TurnSerializer.Meta):
        fields = [*TurnSerializer.Meta.fields, "versions"]


class History(ListAPIView):
    permission_classes = [HasRight]
    required_right = Right.RANK
    serializer_class = TurnSerializer

    def get_queryset(self):
        project = get_object_or_404(Project, slug=self.kwargs["slug"])
        if not queries.belongs(self.request.user, project):
            raise Http404
        asked = self.request.query_params
        return history.turns(self.request.user, project, search=asked.get("q", ""), state=asked.get("state", ""))

    @extend_schema(
        parameters=[
            OpenApiParameter("q", description="Words in the prompt."),
            OpenApiParameter("state", enum=[str(state) for state in history.FINISHED]),
        ]
    )
    def get(self, request, *args, **kwargs):
        """Your own finished turns in a project, newest first."""
        return super().get(request, *args, **kwargs)


class HistoryTurn(APIView):
    permission_classes = [HasRight]
    required_right = Right.RANK

    @extend_schema(responses=TurnDetailSerializer)
    def get(self, request, slug, pk):
        """What you said about a task, version by version."""
        turn = history.own_turn(request.user, get_object_or_404(Project, slug=slug), pk)
        if turn is None:
            raise Http404
        versions = [asdict(version) for version in history.revisions(turn)]
        return Response({**TurnSerializer(turn).data, "versions": RevisionSerializer(versions, many=True).data})
