"""REST endpoints of the comparisons: the verbs of the pages, the table as JSON."""

from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.response import Response
from rest_framework.views import APIView

from people.api import valid
from people.errors import Refusal
from people.permissions import HasRight, Right

from . import actions, export, menu, queries
from .models import Comparison, Task, Trial
from .table import Table


class ComparisonSerializer(serializers.ModelSerializer):
    base = serializers.StringRelatedField()
    dataset = serializers.CharField(source="dataset.digest")
    reward_model = serializers.StringRelatedField()
    created_by = serializers.StringRelatedField()
    methods = serializers.IntegerField()
    trials = serializers.IntegerField()
    judged = serializers.IntegerField()
    active = serializers.IntegerField()

    class Meta:
        model = Comparison
        fields = [
            "id", "name", "task", "base", "dataset", "reward_model", "seeds", "epochs", "max_steps", "batch_size",
            "methods", "trials", "judged", "active", "cancelled", "started_at", "created_by", "created_at",
        ]  # fmt: skip


class NewComparisonSerializer(serializers.Serializer):
    task = serializers.ChoiceField(Task.choices)
    base = serializers.CharField(help_text='A version, as "name:v3".')
    dataset = serializers.CharField(help_text="By its number, digest or name.")
    methods = serializers.ListField(
        child=serializers.CharField(),
        default=list,
        help_text="Keys of the menu, such as adapter-lora; without: those that a new comparison begins with.",
    )
    reward_model = serializers.CharField(default="", allow_blank=True)
    name = serializers.CharField(default="", allow_blank=True)
    seeds = serializers.ListField(child=serializers.IntegerField(), default=[0])
    epochs = serializers.FloatField(default=None, allow_null=True)
    max_steps = serializers.IntegerField(default=None, allow_null=True)
    batch_size = serializers.IntegerField(default=16, allow_null=True)
    start = serializers.BooleanField(default=True, help_text="Queue the runs at once.")


class NewEntrySerializer(serializers.Serializer):
    key = serializers.CharField(default="", allow_blank=True, help_text="A choice of the menu …")
    method = serializers.CharField(default="", allow_blank=True, help_text="… or any method by its name.")
    config = serializers.DictField(default=dict)
    label = serializers.CharField(default="", allow_blank=True)


class ComparisonList(ListAPIView):
    """The comparisons, newest first; `POST` makes one."""

    permission_classes = [HasRight]
    required_right = {"GET": Right.SEE_RUNS, "POST": Right.LAUNCH_RUNS}
    serializer_class = ComparisonSerializer

    def get_queryset(self):
        return queries.comparisons()

    @extend_schema(request=NewComparisonSerializer, responses={201: OpenApiTypes.OBJECT})
    def post(self, request):
        wanted = dict(valid(NewComparisonSerializer, request))
        begins = wanted.pop("start")
        found = queries.find_inputs({name: wanted.pop(name) for name in queries.INPUTS})
        comparison = actions.create_comparison(
            actor=request.user, keys=wanted.pop("methods") or None, **found, **wanted
        )
        if begins:
            actions.start(actor=request.user, comparison=comparison)
        return Response(export.as_json(Table(comparison)), status=201)


class MenuList(APIView):
    """What can be compared: the methods of a task that fit a base and a data set, with the settings they begin with."""

    permission_classes = [HasRight]
    required_right = Right.SEE_RUNS

    @extend_schema(
        operation_id="comparison_methods_list",
        parameters=[
            OpenApiParameter("task", enum=Task.values, required=True),
            OpenApiParameter("base", description='a version, as "name:v3"'),
            OpenApiParameter("dataset", description="number, digest or name"),
        ],
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request):
        asked = request.query_params
        if asked.get("task") not in Task.values:
            raise Refusal(f"task: {', '.join(Task.values)}")
        found = queries.find_inputs(asked)
        return Response(
            [
                {
                    "key": choice.key,
                    "title": choice.title,
                    "method": choice.method or "base",
                    "config": choice.config,
                    "against": choice.against,
                }
                for choice in menu.menu(asked["task"], found["base"], found["dataset"])
            ]
        )


class ComparisonDetail(APIView):
    """The table: every figure with its interval, differences with paired tests, costs. `DELETE` leaves the runs."""

    permission_classes = [HasRight]
    required_right = {"GET": Right.SEE_RUNS, "DELETE": Right.LAUNCH_RUNS}

    @extend_schema(
        parameters=[
            OpenApiParameter("metric", description="the figure that sorts and decides which is best"),
            OpenApiParameter("sort", description="a column; with - in front the largest first"),
        ],
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request, pk):
        asked = {name: request.query_params.get(name, "") for name in ("metric", "sort")}
        return Response(export.as_json(Table(get_object_or_404(queries.comparisons(), pk=pk), **asked)))

    @extend_schema(responses={204: None})
    def delete(self, request, pk):
        actions.delete_comparison(actor=request.user, comparison=get_object_or_404(Comparison, pk=pk))
        return Response(status=204)


class ComparisonVerb(APIView):
    """`start`, `cancel` or `resume`, with the same conditions as the buttons of the page."""

    permission_classes = [HasRight]
    required_right = Right.LAUNCH_RUNS
    verb = staticmethod(actions.start)

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def post(self, request, pk):
        comparison = self.verb(actor=request.user, comparison=get_object_or_404(Comparison, pk=pk))
        return Response(export.as_json(Table(comparison)))


class EntryList(APIView):
    """`POST` adds a method; where the others run already it is queued at once."""

    permission_classes = [HasRight]
    required_right = Right.LAUNCH_RUNS

    @extend_schema(request=NewEntrySerializer, responses={201: OpenApiTypes.OBJECT})
    def post(self, request, pk):
        sent = valid(NewEntrySerializer, request)
        entry = actions.add_entry(actor=request.user, comparison=get_object_or_404(Comparison, pk=pk), **sent)
        table = Table(entry.comparison)
        row = next(row for row in table.rows if row.number == entry.position)
        return Response(export.record(table, row), status=201)


class TrialRetry(APIView):
    """Once more what failed or was stopped."""

    permission_classes = [HasRight]
    required_right = Right.LAUNCH_RUNS

    @extend_schema(request=None, responses=OpenApiTypes.OBJECT)
    def post(self, request, pk, number, seed):
        trial = get_object_or_404(Trial, entry__comparison=pk, entry__position=number, seed=seed)
        actions.retry(actor=request.user, trial=trial)
        return Response(export.as_json(Table(get_object_or_404(Comparison, pk=pk))))


class Predictions(APIView):
    """What every method said about each held-out row, side by side."""

    permission_classes = [HasRight]
    required_right = Right.SEE_RUNS

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request, pk):
        return Response(list(export.side_by_side(Table(get_object_or_404(Comparison, pk=pk)))))
