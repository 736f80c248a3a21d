"""REST of the runs: what can be trained, start and stop it, follow it, make it again, take its curves elsewhere."""

from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.response import Response
from rest_framework.views import APIView

from people.api import valid
from people.errors import Refusal
from people.permissions import HasRight, Right

from . import actions, disk, exports, queries, reading, reproduce
from .engine import methods
from .failures import said
from .models import Run


class RunSerializer(serializers.ModelSerializer):
    inputs = serializers.SerializerMethodField()
    produced = serializers.StringRelatedField()
    created_by = serializers.StringRelatedField()
    problems = serializers.SerializerMethodField()

    class Meta:
        model = Run
        fields = [
            "id", "name", "method", "config", "seed", "inputs", "output_name", "state", "progress", "eta_seconds", "latest",
            "problems", "attempt", "produced", "deleted_version", "created_by", "created_at", "started_at", "finished_at",
        ]  # fmt: skip

    def get_inputs(self, run: Run) -> dict[str, str]:
        return {each.role: str(each.version or each.dataset.digest) for each in run.inputs.all()}

    def get_problems(self, run: Run) -> list[str]:
        return said(run.errors)


class RunDetailSerializer(RunSerializer):
    metrics = serializers.SerializerMethodField(help_text="Figures of a complete run.")
    status = serializers.SerializerMethodField(help_text="The engine's own status.json.")

    class Meta(RunSerializer.Meta):
        fields = [*RunSerializer.Meta.fields, "metrics", "status"]

    def get_metrics(self, run: Run) -> dict:
        return reading.metrics(run.folder)

    def get_status(self, run: Run) -> dict:
        return queries.status(run)


class NewRunSerializer(serializers.Serializer):
    method = serializers.CharField()
    config = serializers.DictField(
        default=dict, help_text="Settings; see the method's schema. What is left out has its default."
    )
    inputs = serializers.DictField(
        child=serializers.CharField(),
        default=dict,
        help_text='Role → a version as "name:v3", or a data set by its number, digest or name.',
    )
    name = serializers.CharField(default="", allow_blank=True)
    seed = serializers.IntegerField(default=0)
    output_name = serializers.CharField(default="", allow_blank=True)


class MoveSerializer(serializers.Serializer):
    where = serializers.CharField(help_text="first, up, down or last")


class RegisterSerializer(serializers.Serializer):
    again = serializers.BooleanField(
        default=False, help_text="Also where it was registered and that version was deleted."
    )


class LimitsSerializer(serializers.Serializer):
    at_a_time = serializers.IntegerField(allow_null=True, required=False)
    disk_gb = serializers.FloatField(allow_null=True, required=False)


class RunList(ListAPIView):
    """The runs, newest first; `POST` starts one."""

    permission_classes = [HasRight]
    required_right = {"GET": Right.SEE_RUNS, "POST": Right.LAUNCH_RUNS}
    serializer_class = RunSerializer

    def get_queryset(self):
        words = {name: self.request.query_params.get(name, "") for name in ("search", "state", "method")}
        return queries.runs(**words)

    @extend_schema(
        parameters=[
            OpenApiParameter(name, OpenApiTypes.STR, description=text)
            for name, text in {
                "search": "words of its name or inputs",
                "state": "a state, or active",
                "method": "",
            }.items()
        ]
    )
    def get(self, request, *args, **kwargs):
        return super().get(request, *args, **kwargs)

    @extend_schema(request=NewRunSerializer, responses={201: RunDetailSerializer})
    def post(self, request):
        wanted = dict(valid(NewRunSerializer, request))
        if wanted["method"] not in methods.names():
            raise Refusal(_("There is no method “%(method)s”.") % wanted)
        references = wanted.pop("inputs")
        known = methods.facts_of(wanted["method"]).inputs
        if unknown := references.keys() - known.keys():
            raise Refusal([_("This method takes no input “%(role)s”.") % {"role": role} for role in sorted(unknown)])
        inputs = queries.find_inputs(wanted["method"], references)
        run = actions.create_run(actor=request.user, inputs=inputs, **wanted)
        return Response(RunDetailSerializer(run).data, status=201)


class RunDetail(APIView):
    """A run. `DELETE` removes one that has ended, with its folder; the version that it made stays."""

    permission_classes = [HasRight]
    required_right = {"GET": Right.SEE_RUNS, "DELETE": Right.LAUNCH_RUNS}

    @extend_schema(responses=RunDetailSerializer)
    def get(self, request, pk):
        return Response(RunDetailSerializer(get_object_or_404(queries.runs(), pk=pk)).data)

    @extend_schema(responses={204: None})
    def delete(self, request, pk):
        actions.delete_run(actor=request.user, run=get_object_or_404(Run, pk=pk))
        return Response(status=204)


class RunVerb(APIView):
    """`stop` or `resume`, with the same conditions as the buttons of the run's page."""

    permission_classes = [HasRight]
    required_right = Right.LAUNCH_RUNS
    verb = staticmethod(actions.stop_run)

    @extend_schema(request=None, responses=RunDetailSerializer)
    def post(self, request, pk):
        self.verb(actor=request.user, run=get_object_or_404(Run, pk=pk))
        return Response(RunDetailSerializer(get_object_or_404(queries.runs(), pk=pk)).data)


class RunRegister(APIView):
    """Make the result of a complete run a version, once. `again`: also where that version was deleted."""

    permission_classes = [HasRight]
    required_right = Right.LAUNCH_RUNS

    @extend_schema(request=RegisterSerializer, responses=RunDetailSerializer)
    def post(self, request, pk):
        sent = valid(RegisterSerializer, request)
        actions.register_result(actor=request.user, run=get_object_or_404(Run, pk=pk), **sent)
        return Response(RunDetailSerializer(get_object_or_404(queries.runs(), pk=pk)).data)


class RunEvents(APIView):
    """The run's events as the engine wrote them, from a byte of `events.jsonl` on; ask again with `next` for what came since.

    After a resume the file is shorter than what was read: `attempt` has grown, and reading starts again at 0.
    """

    permission_classes = [HasRight]
    required_right = Right.SEE_RUNS

    @extend_schema(
        parameters=[OpenApiParameter("after", OpenApiTypes.INT, description="`next` of the last answer")],
        responses=OpenApiTypes.OBJECT,
    )
    def get(self, request, pk):
        folder = get_object_or_404(Run, pk=pk).folder
        after = request.query_params.get("after", "0")
        if not after.isdecimal():
            raise Refusal(_("“after” must be a number."))
        events, offset = reading.raw_events(folder, int(after))
        return Response({"events": events, "next": offset, "attempt": reading.events(folder).attempt})


class RunCheckpoint(APIView):
    """Make what the run has learned until its newest checkpoint a version: a job, whose number comes back."""

    permission_classes = [HasRight]
    required_right = Right.LAUNCH_RUNS

    @extend_schema(request=None, responses={202: OpenApiTypes.OBJECT})
    def post(self, request, pk):
        job = actions.request_checkpoint(actor=request.user, run=get_object_or_404(Run, pk=pk))
        return Response({"job": job.pk}, status=202)


class RunMove(APIView):
    """Another place in the queue: `where` is first, up, down or last."""

    permission_classes = [HasRight]
    required_right = Right.LAUNCH_RUNS

    @extend_schema(request=MoveSerializer, responses=RunDetailSerializer)
    def post(self, request, pk):
        sent = valid(MoveSerializer, request)
        run = actions.move_in_queue(actor=request.user, run=get_object_or_404(Run, pk=pk), **sent)
        return Response(RunDetailSerializer(run).data)


class RunCsv(APIView):
    """The curves, one line an event and one column a curve."""

    permission_classes = [HasRight]
    required_right = Right.SEE_RUNS

    @extend_schema(responses={(200, "text/csv"): OpenApiTypes.STR})
    def get(self, request, pk):
        return StreamingHttpResponse(exports.as_csv(get_object_or_404(Run, pk=pk)), content_type="text/csv")


class RunTensorboard(APIView):
    """The curves and samples as a zipped folder for `tensorboard --logdir`."""

    permission_classes = [HasRight]
    required_right = Right.SEE_RUNS

    @extend_schema(responses={(200, "application/zip"): OpenApiTypes.BINARY})
    def get(self, request, pk):
        made = exports.as_tensorboard(get_object_or_404(Run, pk=pk))
        return HttpResponse(made, content_type="application/zip")


class RunReproduce(APIView):
    """What the run was: settings, seed, digests of its inputs, hashes of their files, versions of the programs. `POST` makes the same run again
    of the very same inputs, and says what is computed with other versions now.
    """

    permission_classes = [HasRight]
    required_right = {"GET": Right.SEE_RUNS, "POST": Right.LAUNCH_RUNS}

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request, pk):
        return Response(reproduce.bundle(get_object_or_404(Run, pk=pk)))

    @extend_schema(request=None, responses={201: OpenApiTypes.OBJECT})
    def post(self, request, pk):
        described = reproduce.bundle(get_object_or_404(Run, pk=pk))
        run = reproduce.make_again(actor=request.user, described=described)
        return Response(
            {"run": RunDetailSerializer(run).data, "differences": reproduce.differences(described)}, status=201
        )


class Upkeep(APIView):
    """How many runs go side by side, and how much room they take, in bytes. `PUT` sets the limits that it names, `disk_gb` in gigabytes; null:
    as the deployment has it, no limit."""

    permission_classes = [HasRight]
    required_right = {"GET": Right.SEE_RUNS, "PUT": Right.LAUNCH_RUNS}

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request):
        usage = disk.usage(queries.runs())
        return Response(
            {
                "at_a_time": queries.at_a_time(),
                "disk_limit": disk.limit(),
                "disk_used": disk.used(),
                "runs": [{"id": each.run.pk, "bytes": each.total, "leftovers": each.leftovers} for each in usage],
            }
        )

    @extend_schema(request=LimitsSerializer, responses=OpenApiTypes.OBJECT)
    def put(self, request):
        sent = valid(LimitsSerializer, request)
        actions.change_limits(actor=request.user, **queries.limits() | sent)
        return self.get(request)


class MethodList(APIView):
    """What can be trained: each method with the inputs that it takes."""

    permission_classes = [HasRight]
    required_right = Right.SEE_RUNS

    @extend_schema(operation_id="methods_list", responses=OpenApiTypes.OBJECT)
    def get(self, request):
        return Response([_facts(name) for name in queries.all_methods()])


class MethodDetail(APIView):
    """A method with the JSON Schema of its settings."""

    permission_classes = [HasRight]
    required_right = Right.SEE_RUNS

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request, name):
        if name not in methods.names():
            raise Refusal(_("There is no method “%(method)s”.") % {"method": name}, status=404)
        return Response(_facts(name) | {"schema": methods.config_of(name).model_json_schema()})


def _facts(name: str) -> dict:
    facts = methods.facts_of(name)
    inputs = {
        role: {
            "kind": takes.kind,
            "title": _(takes.title),
            "accepts": takes.accepts,
            "required": takes.required,
            "unless": takes.unless,
        }
        for role, takes in facts.inputs.items()
    }
    return {
        "name": name,
        "title": _(facts.title),
        "summary": _(facts.summary),
        "family": facts.family,
        "inputs": inputs,
        "result": facts.result,
    }
