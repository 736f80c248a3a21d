"""REST: list, look at, import, export, merge, change and delete models; scores of a reward model; remote endpoints; the store."""

from collections.abc import Callable
from typing import Any

from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView, RetrieveAPIView
from rest_framework.response import Response
from rest_framework.views import APIView

from jobs.api_urls import JobSerializer
from people.api import valid
from people.permissions import HasRight, Right

from . import actions, exporting, queries, scoring, serving_client
from .models import Head, Kind, Model, Stage, Version
from .serving_client import MOST_ROWS, MOST_TEXTS
from .upkeep import archived


class VersionSerializer(serializers.ModelSerializer):
    name = serializers.CharField(source="__str__", read_only=True, help_text="name:v3, as everything else calls it")
    model = serializers.SlugRelatedField(slug_field="name", read_only=True)
    parent = serializers.StringRelatedField()
    url = serializers.CharField(source="get_absolute_url", read_only=True)

    class Meta:
        model = Version
        fields = [
            "name", "model", "number", "kind", "head", "parent", "digest", "size", "parameters", "trained_parameters",
            "architecture", "context_length", "facts", "origin", "metrics", "stage", "licence", "created_at", "url",
        ]  # fmt: skip


class VersionDetailSerializer(VersionSerializer):
    sources = serializers.SerializerMethodField()
    uses = serializers.SerializerMethodField()

    class Meta(VersionSerializer.Meta):
        fields = [*VersionSerializer.Meta.fields, "manifest", "card", "sources", "uses"]

    def get_sources(self, version: Version) -> dict[str, str]:
        return {role: str(source) for _made, role, source in queries.sources(version)}

    def get_uses(self, version: Version) -> list[str]:
        return [str(made) for made, _role, _source in queries.uses(version)]


class ModelSerializer(serializers.ModelSerializer):
    versions = VersionSerializer(many=True, read_only=True)

    class Meta:
        model = Model
        fields = ["name", "description", "created_at", "versions"]


class ImportSerializer(serializers.Serializer):
    name = serializers.CharField(max_length=80)
    path = serializers.CharField(help_text="whole path of a folder on the server, under one of its import roots")
    parent = serializers.CharField(required=False, allow_blank=True, help_text="what an adapter stands on: name:v3")
    licence = serializers.CharField(required=False, allow_blank=True, default="", max_length=120)
    card = serializers.CharField(required=False, allow_blank=True, default="")


class ChangeSerializer(serializers.Serializer):
    stage = serializers.ChoiceField(choices=Stage.choices, required=False)
    licence = serializers.CharField(required=False, allow_blank=True, max_length=120)
    card = serializers.CharField(required=False, allow_blank=True)


class HubImportSerializer(serializers.Serializer):
    name = serializers.CharField(max_length=80)
    repo = serializers.CharField(max_length=200, help_text="owner/name")
    revision = serializers.CharField(required=False, allow_blank=True, default="", help_text="branch, tag or commit")
    parent = serializers.CharField(required=False, allow_blank=True, help_text="what an adapter stands on: name:v3")
    licence = serializers.CharField(required=False, allow_blank=True, default="", max_length=120)


class RemoteSerializer(serializers.Serializer):
    name = serializers.CharField(max_length=80)
    base_url = serializers.CharField(max_length=500, help_text="http(s)://…/v1")
    model = serializers.CharField(max_length=200, help_text="what the server calls it")
    key_env = serializers.CharField(
        required=False,
        allow_blank=True,
        default="",
        help_text="name of the environment variable with the key: …_API_KEY",
    )
    chat_only = serializers.BooleanField(default=False)
    licence = serializers.CharField(required=False, allow_blank=True, default="", max_length=120)
    card = serializers.CharField(required=False, allow_blank=True, default="")


class MergeSerializer(serializers.Serializer):
    name = serializers.CharField(max_length=80, help_text="of the merged model")


class DeleteSerializer(serializers.Serializer):
    confirm = serializers.CharField(help_text="the version's name: name:v3")


class TurnSerializer(serializers.Serializer):
    role = serializers.CharField()
    content = serializers.CharField(allow_blank=True)


class PromptField(serializers.JSONField):
    """A text, or the messages of a chat."""

    def to_internal_value(self, data: object) -> object:
        if isinstance(data, str):
            return data
        turns = TurnSerializer(data=data, many=True, allow_empty=False)
        turns.is_valid(raise_exception=True)
        return [dict(turn) for turn in turns.validated_data]


class ScoreRowSerializer(serializers.Serializer):
    prompt = PromptField(default="", help_text="A text, or the messages of a chat.")
    completions = serializers.ListField(
        child=serializers.CharField(allow_blank=True, trim_whitespace=False), min_length=1, max_length=MOST_TEXTS
    )


class ScoreSerializer(serializers.Serializer):
    rows = ScoreRowSerializer(many=True, allow_empty=False, help_text="256 prompts at most, each with its outputs.")
    trace = serializers.BooleanField(default=False, help_text="With the score after every token.")

    def validate_rows(self, rows: list[dict]) -> list[dict]:
        if len(rows) > MOST_ROWS:
            raise serializers.ValidationError(
                _("%(most)d rows at most in one go; put more of them into a file.") % {"most": MOST_ROWS}
            )
        return rows


class PointSerializer(serializers.Serializer):
    text = serializers.CharField(help_text="What the token adds to the text; empty at the end.")
    score = serializers.FloatField(help_text="Of the text up to it and with it.")


class JudgedSerializer(serializers.Serializer):
    score = serializers.FloatField()
    cut = serializers.BooleanField(help_text="The model's context did not hold the prompt with all of the output.")
    trace = PointSerializer(many=True, allow_null=True)
    std_between = serializers.FloatField(
        allow_null=True, help_text="Of an ensemble of heads: the standard deviation between them, how unsure it is."
    )
    by_head = serializers.ListField(
        child=serializers.FloatField(), allow_null=True, help_text="What each head says; the score is their mean."
    )


class JudgementSerializer(serializers.Serializer):
    rows = serializers.ListField(child=JudgedSerializer(many=True), help_text="A list a row, in its order.")
    std = serializers.FloatField(help_text="Of the scale: a difference of scores times this is the model's own.")
    cut = serializers.IntegerField(help_text="How many outputs were cut.")


class ShareSerializer(serializers.Serializer):
    model = serializers.CharField()
    versions = serializers.IntegerField()
    bytes = serializers.IntegerField()
    shared = serializers.IntegerField(help_text="bytes that versions of other models have too")


class DiskSerializer(serializers.Serializer):
    models = ShareSerializer(many=True)
    total = serializers.IntegerField()
    orphans = serializers.DictField(child=serializers.IntegerField(), help_text="bytes by digest")
    free = serializers.IntegerField()


@extend_schema(
    parameters=[
        OpenApiParameter("search", str),
        OpenApiParameter("kind", enum=Kind.values),
        OpenApiParameter("head", enum=Head.values),
        OpenApiParameter("stage", enum=Stage.values),
        OpenApiParameter("model", str, description="only versions of this model"),
    ]
)
class VersionsView(ListAPIView):
    """The registry: versions of all models, newest first."""

    permission_classes = [HasRight]
    required_right = Right.SEE_MODELS
    serializer_class = VersionSerializer

    def get_queryset(self):
        names = ("search", "kind", "head", "stage", "model")
        return queries.versions(**{name: self.request.query_params.get(name, "") for name in names})


class ModelView(RetrieveAPIView):
    """A model and its versions."""

    permission_classes = [HasRight]
    required_right = Right.SEE_MODELS
    serializer_class = ModelSerializer
    queryset = queries.models()
    lookup_field = "name"


class VersionView(APIView):
    permission_classes = [HasRight]
    required_right = {"GET": Right.SEE_MODELS, "PATCH": Right.MANAGE_MODELS, "DELETE": Right.MANAGE_MODELS}

    @extend_schema(responses=VersionDetailSerializer)
    def get(self, request, name: str, number: int):
        return Response(VersionDetailSerializer(self._version(name, number)).data)

    @extend_schema(
        request=ChangeSerializer, responses=VersionDetailSerializer, description="Change stage, card or licence."
    )
    def patch(self, request, name: str, number: int):
        version = self._version(name, number)
        data = valid(ChangeSerializer, request)
        if "stage" in data:
            actions.set_stage(actor=request.user, version=version, stage=data["stage"])
        if "card" in data or "licence" in data:
            actions.edit_card(
                actor=request.user,
                version=version,
                card=data.get("card", version.card),
                licence=data.get("licence", version.licence),
            )
        return Response(VersionDetailSerializer(version).data)

    @extend_schema(
        request=DeleteSerializer,
        responses={204: None},
        description="Delete it, if nothing was made of it and nothing names it.",
    )
    def delete(self, request, name: str, number: int):
        wanted = valid(DeleteSerializer, request)
        version = self._version(name, number)
        actions.delete_version(actor=request.user, version=version, confirm=wanted["confirm"])
        return Response(status=204)

    def _version(self, name: str, number: int) -> Version:
        return get_object_or_404(
            Version.objects.select_related("model", "parent__model"), model__name=name, number=number
        )


def _begun(request, serializer: type, verb: Callable[..., Any]) -> Response:
    """Begin an import by one of the verbs, and say which job to follow."""
    data = valid(serializer, request)
    parent = queries.find(data["parent"]) if data.get("parent") else None
    return Response(JobSerializer(verb(actor=request.user, **{**data, "parent": parent})).data, status=202)


class ImportView(APIView):
    permission_classes = [HasRight]
    required_right = Right.MANAGE_MODELS

    @extend_schema(
        request=ImportSerializer,
        responses={202: JobSerializer},
        description="Import a folder of the server; follow the job.",
    )
    def post(self, request):
        return _begun(request, ImportSerializer, actions.begin_import)


class HubImportView(APIView):
    permission_classes = [HasRight]
    required_right = Right.MANAGE_MODELS

    @extend_schema(
        request=HubImportSerializer,
        responses={202: JobSerializer},
        description="Import a repository of the Hugging Face Hub; follow the job.",
    )
    def post(self, request):
        return _begun(request, HubImportSerializer, actions.begin_hub_import)


class RemoteView(APIView):
    permission_classes = [HasRight]
    required_right = Right.MANAGE_MODELS

    @extend_schema(
        request=RemoteSerializer,
        responses={201: VersionDetailSerializer},
        description="Register the model of an OpenAI-compatible server. Nothing is called.",
    )
    def post(self, request):
        wanted = valid(RemoteSerializer, request)
        version = actions.register_remote(actor=request.user, **wanted)
        return Response(VersionDetailSerializer(version).data, status=201)


class ExportView(APIView):
    permission_classes = [HasRight]
    required_right = Right.SEE_MODELS

    @extend_schema(
        parameters=[
            OpenApiParameter("as", enum=list(exporting.FORMATS)),
            OpenApiParameter("chain", enum=["1"], description="with everything that it stands on"),
        ],
        responses={(200, "application/octet-stream"): bytes},
        description="The version as a zip or a tar that transformers and peft load.",
    )
    def get(self, request, name: str, number: int):
        return archived(get_object_or_404(Version, model__name=name, number=number), request.query_params)


class MergeView(APIView):
    permission_classes = [HasRight]
    required_right = Right.MANAGE_MODELS

    @extend_schema(
        request=MergeSerializer,
        responses={202: JobSerializer},
        description="Fold its adapters into the weights of its base, as a new version; follow the job.",
    )
    def post(self, request, name: str, number: int):
        wanted = valid(MergeSerializer, request)
        version = get_object_or_404(Version, model__name=name, number=number)
        job = actions.begin_merge(actor=request.user, version=version, name=wanted["name"])
        return Response(JobSerializer(job).data, status=202)


class ScoreView(APIView):
    permission_classes = [HasRight]
    required_right = Right.TRY_MODELS

    @extend_schema(
        request=ScoreSerializer,
        responses=JudgementSerializer,
        description="What a reward model says of outputs, at once. The outputs of a prompt belong into one row: it is computed once.",
    )
    def post(self, request, name: str, number: int):
        wanted = valid(ScoreSerializer, request)
        version = get_object_or_404(Version.objects.select_related("model"), model__name=name, number=number)
        scoring.check_scores(version)
        rows = [(row["prompt"], row["completions"]) for row in wanted["rows"]]
        return Response(JudgementSerializer(serving_client.judge(version, rows, trace=wanted["trace"])).data)


class VerifyView(APIView):
    permission_classes = [HasRight]
    required_right = Right.SEE_MODELS

    @extend_schema(
        request=None,
        responses={202: JobSerializer},
        description="Compute every hash of its folder anew; follow the job.",
    )
    def post(self, request, name: str, number: int):
        version = get_object_or_404(Version, model__name=name, number=number)
        return Response(JobSerializer(actions.begin_verify(actor=request.user, version=version)).data, status=202)


class StoreView(APIView):
    permission_classes = [HasRight]
    required_right = {"GET": Right.SEE_MODELS, "POST": Right.SEE_MODELS, "DELETE": Right.MANAGE_MODELS}

    @extend_schema(responses=DiskSerializer, description="What the store takes on the disk, by model.")
    def get(self, request):
        return Response(DiskSerializer(queries.disk()).data)

    @extend_schema(
        request=None,
        responses={202: JobSerializer},
        description="Compute every hash in the store anew; follow the job.",
    )
    def post(self, request):
        return Response(JobSerializer(actions.begin_verify_all(actor=request.user)).data, status=202)

    @extend_schema(
        responses={200: OpenApiTypes.OBJECT}, description="Remove the folders that no version names: {folders, bytes}."
    )
    def delete(self, request):
        return Response(actions.reclaim(actor=request.user))
