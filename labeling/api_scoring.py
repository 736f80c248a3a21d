"""REST: a file of rows to a reward model, as a job, and what came of it."""

from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.parsers import MultiPartParser
from rest_framework.response import Response
from rest_framework.views import APIView

from jobs.api_urls import JobSerializer
from labeling import actions, scoring, uploads
from models_registry.models import Version
from people.api import PROBLEMS, valid
from people.errors import Refusal
from people.permissions import HasRight, Right


class FileSerializer(serializers.Serializer):
    file = serializers.FileField(help_text="Rows of “prompt” and “completion”, “completions” or “completion_1” ….")


class ScoreFile(APIView):
    permission_classes = [HasRight]
    required_right = Right.TRY_MODELS
    parser_classes = [MultiPartParser]

    @extend_schema(request={"multipart/form-data": FileSerializer}, responses={202: JobSerializer, 400: PROBLEMS})
    def post(self, request, name: str, number: int):
        """Let a reward model score the rows of a file (JSONL, JSON, CSV, TSV, Parquet). The job's result names the address of the scores."""
        version = get_object_or_404(Version.objects.select_related("model"), model__name=name, number=number)
        file = valid(FileSerializer, request)["file"]
        upload = uploads.keep(request.user, file.name, file.chunks())
        try:
            job = actions.start_scoring_file(actor=request.user, version=version, upload=upload)
        except Refusal:
            uploads.discard(upload)
            raise
        return Response(JobSerializer(job).data, status=202)


class Scored(APIView):
    permission_classes = [HasRight]
    required_right = Right.TRY_MODELS

    @extend_schema(
        parameters=[OpenApiParameter("as", enum=["json", "csv"])],
        responses={(200, "application/x-ndjson"): OpenApiTypes.STR, 404: PROBLEMS},
    )
    def get(self, request, upload: str):
        """The rows of a file with their scores, for whoever had it scored; they are kept for a day."""
        return scoring.file_of(uploads.find(request.user, upload), request.query_params.get("as", "json"))
