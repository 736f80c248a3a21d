"""REST: filling a project, data sets, snapshots, exports. Each endpoint calls the verb that the pages call."""

from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.generics import ListAPIView, RetrieveAPIView
from rest_framework.parsers import MultiPartParser
from rest_framework.response import Response
from rest_framework.views import APIView

from jobs.api_urls import JobSerializer
from labeling import actions, export, places, project_queries, uploads
from labeling.datasets import files, pairs, snapshot
from labeling.importing.load import look
from labeling.models import Dataset, Project
from labeling.ranking import MAX_ITEMS
from labeling.sampling import Plan
from models_registry.queries import find
from people.api import PROBLEMS, valid
from people.downloads import json_lines_file
from people.errors import Refusal
from people.permissions import ANYWHERE, HasRight, Right

JSON_LINES = {(200, "application/x-ndjson"): OpenApiTypes.STR, 400: PROBLEMS}
SPLIT = OpenApiParameter("split", enum=["train", "heldout"], description="One split alone; without it, both.")


# Shapes


class DatasetSerializer(serializers.ModelSerializer):
    project = serializers.SlugRelatedField("slug", read_only=True)

    class Meta:
        model = Dataset
        fields = ["id", "name", "kind", "digest", "rows", "splits", "size", "project", "created_at"]


class DatasetDetailSerializer(DatasetSerializer):
    """With its manifest; that of a snapshot also counts pairs, ties and annotators."""

    class Meta(DatasetSerializer.Meta):
        fields = [*DatasetSerializer.Meta.fields, "manifest"]


class UploadDatasetSerializer(serializers.Serializer):
    file = serializers.ListField(
        child=serializers.FileField(),
        allow_empty=False,
        help_text="The file; given several times, several that become one data set.",
    )
    name = serializers.CharField(max_length=120)
    kind = serializers.ChoiceField(Dataset.Kind.choices)
    separator = serializers.CharField(
        default="blank",
        help_text="Of plain text: blank, line, whole, tunes (ABC), or the text that stands between documents.",
    )
    columns = serializers.CharField(
        default="", allow_blank=True, help_text="Of CSV and TSV without a first line of names: text,label"
    )
    heldout_percent = serializers.IntegerField(default=10, min_value=0, max_value=90)
    skip_bad = serializers.BooleanField(default=False, help_text="Leave out rows that cannot be read.")


class ImportPromptsSerializer(serializers.Serializer):
    file = serializers.FileField()
    dry_run = serializers.BooleanField(default=False, help_text="Say what would be imported; change nothing.")
    skip_bad = serializers.BooleanField(default=False, help_text="Leave out rows that cannot be read.")
    batch = serializers.CharField(
        default="", allow_blank=True, help_text="The batch of new tasks whose row names none; made if it is not there."
    )


@extend_schema_field({"oneOf": [{"type": "integer"}, {"type": "string"}]})
class VersionField(serializers.Field):
    """A model version by its id or as everywhere else: "name:v3", or the name alone. Its value is the id, which a plan checks."""

    def to_internal_value(self, data: object) -> int:
        if isinstance(data, int) and not isinstance(data, bool):
            return data
        if not isinstance(data, str):
            raise serializers.ValidationError("Name a version like “name:v3”, or give its id.")
        try:
            return int(data) if data.isdecimal() else find(data).pk
        except Refusal as refusal:
            raise serializers.ValidationError([str(problem) for problem in refusal.problems]) from None


class SampleSerializer(serializers.Serializer):
    versions = serializers.ListField(child=VersionField(), help_text="Model versions: “name:v3”, or their ids.")
    outputs = serializers.IntegerField(default=4, min_value=2, max_value=MAX_ITEMS)
    seed = serializers.IntegerField(default=0)
    temperature = serializers.FloatField(default=1.0)
    top_p = serializers.FloatField(default=1.0)
    max_tokens = serializers.IntegerField(default=128)
    resample = serializers.IntegerField(default=3, help_text="Tries to get another text for a duplicate.")
    best_of = serializers.IntegerField(
        default=1, help_text="So many are written for each output; the one with the highest score is kept."
    )
    judge = VersionField(
        default=None, allow_null=True, help_text="The reward model that chooses: “name:v3”, or its id."
    )
    batch = serializers.CharField(
        default="", allow_blank=True, help_text="That of the new tasks; made if it is not there."
    )


class SnapshotSerializer(serializers.Serializer):
    name = serializers.CharField(required=False, default="", allow_blank=True, max_length=120)
    spare = serializers.BooleanField(default=False, help_text="With rankings that came after their slot had gone.")
    reviewed = serializers.BooleanField(default=False, help_text="With tasks that flags or a reviewer have closed.")
    turns = serializers.BooleanField(default=False, help_text="With a file of skips and flags.")
    repeats = serializers.BooleanField(default=False, help_text="With judgements of tasks that were offered again.")
    gold = serializers.BooleanField(default=False, help_text="With gold tasks; their rows are marked.")
    adjudicated = serializers.ChoiceField(
        [snapshot.INSTEAD, snapshot.BESIDE],
        default="",
        allow_blank=True,
        help_text="What reviewers decided, instead of a task's rankings or beside them; without it, left out.",
    )
    weights = serializers.BooleanField(
        default=False, help_text="Each ranking weighs as its annotator is reliable, 1 on average."
    )


# Filling a project


class ImportIntoProject(APIView):
    permission_classes = [HasRight]
    required_right = Right.MANAGE_PROJECTS
    required_place = places.project
    parser_classes = [MultiPartParser]

    @extend_schema(
        request={"multipart/form-data": ImportPromptsSerializer},
        responses={200: OpenApiTypes.OBJECT, 202: JobSerializer, 400: PROBLEMS},
    )
    def post(self, request, slug):
        """Import prompts, completions and rankings (JSONL, JSON, CSV, TSV, Parquet). 200: the dry run's report; 202: the job."""
        project = get_object_or_404(Project, slug=slug)
        given = valid(ImportPromptsSerializer, request)
        file = given["file"]
        upload = uploads.keep(request.user, file.name, file.chunks())
        if given["dry_run"]:
            try:
                report = look(project, upload.path)
            finally:
                uploads.discard(upload)
            return Response(report.as_json() | {"sentences": report.sentences()})
        options = {name: given[name] for name in ("skip_bad", "batch")}
        job = actions.start_import(actor=request.user, project=project, upload=upload, **options)
        return Response(JobSerializer(job).data, status=202)


class SampleForProject(APIView):
    permission_classes = [HasRight]
    required_right = Right.SAMPLE_MODELS

    @extend_schema(request=SampleSerializer, responses={202: JobSerializer, 400: PROBLEMS})
    def post(self, request, slug):
        """Sample outputs of registered models for every prompt, and make tasks of them, as a job."""
        project = get_object_or_404(Project, slug=slug)
        asked = dict(valid(SampleSerializer, request))
        batch = asked.pop("batch")
        plan = Plan(**asked | {"versions": tuple(asked["versions"])})
        job = actions.start_sampling(actor=request.user, project=project, plan=plan, batch=batch)
        return Response(JobSerializer(job).data, status=202)


# Data sets


class DatasetList(ListAPIView):
    """All data sets, newest first."""

    permission_classes = [HasRight]
    required_right = {"GET": Right.SEE_DATA, "POST": Right.UPLOAD_DATA}
    required_place = ANYWHERE
    serializer_class = DatasetSerializer
    queryset = Dataset.objects.none()  # for the schema
    parser_classes = [MultiPartParser]

    def get_queryset(self):
        return project_queries.dataset_list(self.request.user)

    @extend_schema(
        request={"multipart/form-data": UploadDatasetSerializer},
        responses={200: DatasetDetailSerializer, 201: DatasetDetailSerializer, 400: PROBLEMS},
    )
    def post(self, request):
        """Upload a data set. 200: these very rows were there already; 400: every row that cannot be read, by its line."""
        given = valid(UploadDatasetSerializer, request)
        reading = files.Reading(
            kind=given["kind"],
            separator=given["separator"],
            columns=tuple(name.strip() for name in given["columns"].split(",") if name.strip()),
            heldout_percent=given["heldout_percent"],
        )
        upload = uploads.keep_all(request.user, [(file.name, file.chunks()) for file in given["file"]])
        try:
            dataset, new = actions.upload_dataset(
                actor=request.user,
                name=given["name"],
                path=upload.paths,
                reading=reading,
                skip_bad=given["skip_bad"],
            )
        finally:
            uploads.discard(upload)
        return Response(DatasetDetailSerializer(dataset).data, status=201 if new else 200)


class DatasetDetail(RetrieveAPIView):
    permission_classes = [HasRight]
    required_right = Right.SEE_DATA
    required_place = places.of_dataset
    serializer_class = DatasetDetailSerializer
    queryset = Dataset.objects.select_related("project")


class Exports(APIView):
    permission_classes = [HasRight]
    required_right = Right.EXPORT
    required_place = places.of_dataset


class _Lines(Exports):
    """A JSON object a line, of one split or both."""

    export = staticmethod(export.export_rows)
    called: tuple[str, ...] = ()  # in the name of the file

    @extend_schema(parameters=[SPLIT], responses=JSON_LINES)
    def get(self, request, pk):
        dataset = get_object_or_404(Dataset, pk=pk)
        split = request.query_params.get("split")
        lines = self.export(actor=request.user, dataset=dataset, split=split)
        return json_lines_file(lines, export.file_name(dataset, *self.called, split))


class DatasetRows(_Lines):
    """The rows, one JSON object a line."""


class DatasetAcceptable(_Lines):
    """Each output above or below the acceptability line, for KTO."""

    export, called = staticmethod(export.export_acceptable), ("acceptable",)


class DatasetConsensus(_Lines):
    """One row a task: the consensus of its rankings as a weak order, contested pairs, and how many rankings there are."""

    export, called = staticmethod(export.export_consensus), ("consensus",)


class DatasetPairs(Exports):
    @extend_schema(
        parameters=[
            OpenApiParameter("ties", enum=pairs.Ties.values, default=pairs.Ties.DROP.value),
            OpenApiParameter("margin", bool, default=False, description="With the distance in tiers."),
            SPLIT,
        ],
        responses=JSON_LINES,
    )
    def get(self, request, pk):
        """Preference pairs for TRL. How many there are is in the data set's manifest, under `pairs`."""
        dataset = get_object_or_404(Dataset, pk=pk)
        asked = request.query_params
        split, ties = asked.get("split"), asked.get("ties", pairs.Ties.DROP.value)
        margin = asked.get("margin", "").lower() in ("1", "true", "yes")
        lines = export.export_pairs(actor=request.user, dataset=dataset, ties=ties, margin=margin, split=split)
        return json_lines_file(lines, export.file_name(dataset, f"pairs-{ties}", split))


class ProjectTurns(Exports):
    required_place = places.project

    @extend_schema(responses=JSON_LINES)
    def get(self, request, slug):
        """Every skip and flag of a project, with its reason."""
        project = get_object_or_404(Project, slug=slug)
        return json_lines_file(export.export_turns(actor=request.user, project=project), f"{project.slug}-turns")


class Snapshots(APIView):
    permission_classes = [HasRight]
    required_right = Right.FREEZE
    required_place = places.project

    @extend_schema(
        request=SnapshotSerializer,
        responses={200: DatasetDetailSerializer, 201: DatasetDetailSerializer, 400: PROBLEMS},
    )
    def post(self, request, slug):
        """Freeze a project's rankings into an immutable data set. 200: nothing has changed since the last one."""
        project = get_object_or_404(Project, slug=slug)
        given = dict(valid(SnapshotSerializer, request))
        name = given.pop("name")
        dataset, new = actions.freeze_snapshot(
            actor=request.user, project=project, name=name, options=snapshot.Options(**given)
        )
        return Response(DatasetDetailSerializer(dataset).data, status=201 if new else 200)
