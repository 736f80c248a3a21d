"""REST: list and look at models, import a folder, change a version's stage and card."""

from django.shortcuts import get_object_or_404
from django.urls import path
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView, RetrieveAPIView
from rest_framework.response import Response
from rest_framework.views import APIView

from jobs.api_urls import JobSerializer
from people.permissions import HasRight, Right

from . import actions, queries
from .models import Head, Kind, Model, Stage, Version


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
    required_right = {"GET": Right.SEE_MODELS, "PATCH": Right.MANAGE_MODELS}

    @extend_schema(responses=VersionDetailSerializer)
    def get(self, request, name: str, number: int):
        return Response(VersionDetailSerializer(self._version(name, number)).data)

    @extend_schema(
        request=ChangeSerializer, responses=VersionDetailSerializer, description="Change stage, card or licence."
    )
    def patch(self, request, name: str, number: int):
        version = self._version(name, number)
        wanted = ChangeSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        data = wanted.validated_data
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

    def _version(self, name: str, number: int) -> Version:
        return get_object_or_404(
            Version.objects.select_related("model", "parent__model"), model__name=name, number=number
        )


class ImportView(APIView):
    permission_classes = [HasRight]
    required_right = Right.MANAGE_MODELS

    @extend_schema(
        request=ImportSerializer,
        responses={202: JobSerializer},
        description="Import a folder of the server; follow the job.",
    )
    def post(self, request):
        wanted = ImportSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        data = wanted.validated_data
        parent = queries.find(data["parent"]) if data.get("parent") else None
        job = actions.begin_import(actor=request.user, **{**data, "parent": parent})
        return Response(JobSerializer(job).data, status=202)


urlpatterns = [
    path("models/", VersionsView.as_view(), name="api-models"),
    path("models/<slug:name>/", ModelView.as_view(), name="api-model"),
    path("models/<slug:name>/v<int:number>/", VersionView.as_view(), name="api-version"),
    path("model-imports/", ImportView.as_view(), name="api-model-import"),
]
