"""REST: which tasks go to whom and when. Overlap, priorities, lanes, batches, scores, known answers, people's desks."""

from django.contrib.auth.models import Group
from django.db import transaction
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.response import Response
from rest_framework.views import APIView

from jobs.api_urls import JobSerializer
from labeling import actions, places
from labeling.actions.assigning import at_most
from labeling.actions.many import Changed
from labeling.batch_queries import batch_progress
from labeling.models import Batch, Desk, GoldAnswer, Project, Task
from labeling.task_queries import Fits, stranded, tasks_of
from models_registry.queries import find
from people.api import PROBLEMS, JSONParser, valid
from people.errors import Refusal
from people.models import User
from people.permissions import HasRight, Right

MOST_SCORE = 1e300  # JSON knows whole numbers that no float can hold
FILTERS = [OpenApiParameter(name, str, required=False) for name in Fits.__dataclass_fields__]


class OfProject(APIView):
    """What belongs to a project: seen by who sees it, changed by who manages it."""

    permission_classes = [HasRight]
    required_right = {
        "GET": Right.SEE_PROJECTS,
        "POST": Right.MANAGE_PROJECTS,
        "PATCH": Right.MANAGE_PROJECTS,
        "PUT": Right.MANAGE_PROJECTS,
        "DELETE": Right.MANAGE_PROJECTS,
    }
    required_place = places.project
    parser_classes = [JSONParser]


# Tasks


class TaskSerializer(serializers.ModelSerializer):
    batch = serializers.SlugRelatedField("name", read_only=True)
    prompt_id = serializers.CharField(source="prompt.external_id")

    class Meta:
        model = Task
        fields = [
            "id", "prompt_id", "kind", "state", "size", "overlap", "extra", "submitted", "free_slots", "priority",
            "lane", "sensitive", "batch", "score", "chosen",
        ]  # fmt: skip
        extra_kwargs = {
            "extra": {"help_text": "Of the overlap: added because the rankings disagree."},
            "lane": {
                "help_text": 'Whose queue: "" everybody\'s, "u12" a person\'s, "g3" a group\'s; with "!" sensitive.'
            },
            "chosen": {"help_text": "In active order: by its score, or at random."},
        }


class ChangeTasksSerializer(serializers.Serializer):
    """Which tasks, and what becomes of them; what is left out stays as it is."""

    tasks = serializers.ListField(
        child=serializers.IntegerField(max_value=2**63 - 1), required=False, help_text="Their ids."
    )
    filter = serializers.DictField(
        child=serializers.CharField(allow_blank=True),
        required=False,
        help_text="Or all that this fits, as in the list.",
    )
    priority = serializers.IntegerField(required=False)
    overlap = serializers.IntegerField(required=False)
    sensitive = serializers.BooleanField(required=False)
    batch = serializers.IntegerField(required=False, allow_null=True, help_text="The id of a batch; null: of none.")
    person = serializers.CharField(required=False, help_text="The name of the person to whom they are assigned.")
    group = serializers.CharField(required=False, help_text="The name of the group to which they are assigned.")
    everybody = serializers.BooleanField(required=False, help_text="true: they are assigned to nobody any more.")


CHANGED = {
    "type": "object",
    "properties": {"tasks": {"type": "integer"}, "jobs": {"type": "array", "items": {"type": "string"}}},
}
CHANGES = {200: CHANGED, 202: CHANGED, 400: PROBLEMS, 409: PROBLEMS}  # 202: more than one step; the jobs do it


class Tasks(OfProject, ListAPIView):
    serializer_class = TaskSerializer
    queryset = Task.objects.none()  # for the schema

    def get_queryset(self):
        project = get_object_or_404(Project, slug=self.kwargs["slug"])
        return tasks_of(project, Fits.of(self.request.query_params)).select_related("prompt", "batch")

    @extend_schema(parameters=FILTERS)
    def get(self, request, slug):
        """The tasks of a project in the order they were made."""
        return super().get(request, slug)

    @extend_schema(request=ChangeTasksSerializer, responses=CHANGES)
    def patch(self, request, slug):
        """Change many tasks in one go: all of it, or nothing. They join the queue anew. Above 5,000 tasks it is done by `jobs`, in steps."""
        project = get_object_or_404(Project, slug=slug)
        given = valid(ChangeTasksSerializer, request)
        changes = _changes(project, given)
        if ("tasks" in given) == ("filter" in given):
            raise Refusal(_("Say which tasks: by “tasks” or by “filter”."))
        if not changes:
            raise Refusal(_("Nothing is to be changed."))
        if "tasks" in given:
            tasks = given["tasks"]
        else:
            tasks = list(tasks_of(project, Fits.of(given["filter"])).values_list("pk", flat=True))
        return _changed(actions.change_tasks(actor=request.user, project=project, tasks=tasks, **changes))


def _changed(changed: Changed) -> Response:
    jobs = [str(job.pk) for job in changed.jobs]
    return Response({"tasks": changed.tasks} | ({"jobs": jobs} if jobs else {}), status=202 if jobs else 200)


def _changes(project: Project, given: dict) -> dict[str, object]:
    """What `change_tasks` takes; a Refusal names every batch, person or group that is not there."""
    changes = {name: given[name] for name in ("priority", "overlap", "sensitive") if name in given}
    problems = []
    if "batch" in given:
        changes["batch"] = project.batches.filter(pk=given["batch"]).first()
        if given["batch"] is not None and changes["batch"] is None:
            problems.append(_("There is no batch %(batch)s in this project.") % {"batch": given["batch"]})
    to = [name for name in ("person", "group", "everybody") if given.get(name)]
    if len(to) > 1:
        problems.append(_("Assign tasks to a person, a group or everybody, not to several of these."))
    elif to:
        found: User | Group | None = None
        if to == ["person"] and not (found := User.objects.filter(username=given["person"]).first()):
            problems.append(_("There is nobody with the name “%(name)s”.") % {"name": given["person"]})
        if to == ["group"] and not (found := Group.objects.filter(name=given["group"]).first()):
            problems.append(_("There is no group “%(name)s”.") % {"name": given["group"]})
        changes["to"] = found
    if problems:
        raise Refusal(problems)
    return changes


class StrandedSerializer(serializers.Serializer):
    """Give them away with `PATCH tasks/`: the filter is `owner` (and `sensitive`: "yes", where they were declined)."""

    owner = serializers.CharField(help_text='"u12" a person, "g3" a group.')
    name = serializers.CharField()
    tasks = serializers.IntegerField()
    declined = serializers.BooleanField(help_text="They are sensitive, and nobody there takes such.")


class StrandedTasks(OfProject):
    @extend_schema(responses=StrandedSerializer(many=True))
    def get(self, request, slug):
        """Tasks that wait for a person or a group who cannot take them."""
        project = get_object_or_404(Project, slug=slug)
        return Response(StrandedSerializer(stranded(project), many=True).data)


class ScoreSerializer(serializers.Serializer):
    task = serializers.IntegerField()
    score = serializers.FloatField(allow_null=True)


class Scores(OfProject):
    @extend_schema(
        request=ScoreSerializer(many=True),
        parameters=[
            OpenApiParameter("seed", int, description="Of the order of the random share; without it, one is drawn.")
        ],
        responses=CHANGES,
    )
    def post(self, request, slug):
        """Give tasks a score, thousands in one go, and put the queue in their order. A score of null is taken away."""
        project = get_object_or_404(Project, slug=slug)
        seed = request.query_params.get("seed", "")
        if seed and not seed.isdecimal():
            raise Refusal(_("The seed must be a whole number."))
        return _changed(
            actions.set_scores(
                actor=request.user, project=project, scores=_scores(request.data), seed=int(seed) if seed else None
            )
        )


def _scores(given: object) -> dict[int, float | None]:
    """By hand: a serializer for each of a hundred thousand rows takes many seconds."""
    if not isinstance(given, list):
        raise Refusal(_('Expected a JSON list: [{"task": 1, "score": 0.5}, …].'))
    scores, problems = {}, []
    for number, row in enumerate(given, 1):
        task, score = (row.get("task"), row.get("score")) if isinstance(row, dict) else (None, None)
        is_number = isinstance(score, int | float) and not isinstance(score, bool) and abs(score) < MOST_SCORE
        if (
            not isinstance(row, dict)
            or "score" not in row
            or not (is_number or score is None)
            or type(task) is not int
        ):
            problems.append(
                _("Row %(row)s: expected a “task” (its id) and a “score” (a number, or null).") % {"row": number}
            )
        else:
            scores[task] = score
    if problems:
        raise Refusal(at_most(problems))
    return scores


class ScoreByModelSerializer(serializers.Serializer):
    model = serializers.CharField(help_text="A reward model: name:v3.")
    seed = serializers.IntegerField(required=False, min_value=0, help_text="Of the order of the random share.")


class ScoresByModel(OfProject):
    @extend_schema(request=ScoreByModelSerializer, responses={202: JobSerializer, 400: PROBLEMS})
    def post(self, request, slug):
        """Let a reward model score the tasks that wait, by how uncertain it is which output is best, and put the queue in their order."""
        project = get_object_or_404(Project, slug=slug)
        given = valid(ScoreByModelSerializer, request)
        version = find(given["model"])
        job = actions.start_scoring_tasks(actor=request.user, project=project, version=version, seed=given.get("seed"))
        return Response(JobSerializer(job).data, status=202)


class OrderSerializer(serializers.Serializer):
    by = serializers.ChoiceField(["score", "arrival"])
    seed = serializers.IntegerField(
        required=False, min_value=0, help_text="Of the order of the random share, by score."
    )


class Order(OfProject):
    @extend_schema(request=OrderSerializer, responses=CHANGES)
    def post(self, request, slug):
        """Put the queue in the order of scores, or back in that of arrival. `tasks`: how many wait in it."""
        project = get_object_or_404(Project, slug=slug)
        given = valid(OrderSerializer, request)
        if given["by"] == "score":
            ordered = actions.order_by_score(actor=request.user, project=project, seed=given.get("seed"))
        else:
            ordered = actions.order_by_arrival(actor=request.user, project=project)
        return _changed(ordered)


# Known answers


class KnownAnswerSerializer(serializers.ModelSerializer):
    kind = serializers.ChoiceField(
        [kind for kind in Task.Kind.choices if kind[0] != Task.Kind.NORMAL], source="task.kind"
    )

    class Meta:
        model = GoldAnswer
        fields = ["kind", "constraints", "explanation"]


class SetAnswerSerializer(serializers.Serializer):
    kind = serializers.CharField(default=Task.Kind.GOLD, help_text="gold, practice or qualification.")
    constraints = serializers.CharField(help_text="A > D, B >= C, B = C; in canonical letters.")
    explanation = serializers.CharField(default="", allow_blank=True, help_text="Shown after a practice task.")


class KnownAnswer(OfProject):
    required_right = dict.fromkeys(("GET", "PUT", "DELETE"), Right.MANAGE_PROJECTS)

    def _task(self, slug: str, task: int) -> Task:
        return get_object_or_404(Task.objects.select_related("project"), pk=task, project__slug=slug)

    @extend_schema(responses=KnownAnswerSerializer)
    def get(self, request, slug, task):
        """What is known about a task. 404: nothing."""
        answer = get_object_or_404(GoldAnswer.objects.select_related("task"), task=self._task(slug, task))
        return Response(KnownAnswerSerializer(answer).data)

    @extend_schema(request=SetAnswerSerializer, responses={200: KnownAnswerSerializer, 400: PROBLEMS})
    def put(self, request, slug, task):
        """Say what is known about the order of a task's outputs: it becomes a gold, practice or qualification task and leaves the queue."""
        answer = actions.set_gold(
            actor=request.user, task=self._task(slug, task), **valid(SetAnswerSerializer, request)
        )
        return Response(KnownAnswerSerializer(answer).data)

    @extend_schema(responses={204: None})
    def delete(self, request, slug, task):
        """Make it an ordinary task again, which joins the queue."""
        actions.unset_gold(actor=request.user, task=self._task(slug, task))
        return Response(status=204)


# Batches


class BatchSerializer(serializers.Serializer):
    """With its progress: `complete` of `tasks` tasks, of which `review` are closed for review; `ranked` of `wanted` rankings."""

    id = serializers.IntegerField(source="batch.pk")
    name = serializers.CharField(source="batch.name")
    paused = serializers.BooleanField(source="batch.paused")
    tasks = serializers.IntegerField()
    complete = serializers.IntegerField()
    review = serializers.IntegerField()
    wanted = serializers.IntegerField()
    ranked = serializers.IntegerField()
    under_way = serializers.IntegerField(help_text="Held by somebody who has not ranked yet.")
    created_at = serializers.DateTimeField(source="batch.created_at")


def _shown(project: Project, pk: int | None = None) -> list[dict] | dict:
    """All batches of a project, or one of them."""
    found = [each for each in batch_progress(project) if each.batch and (pk is None or each.batch.pk == pk)]
    return BatchSerializer(found, many=True).data if pk is None else BatchSerializer(found[0]).data


class ChangeBatchSerializer(serializers.Serializer):
    name = serializers.CharField(required=False, allow_blank=True)
    paused = serializers.BooleanField(required=False)


class Batches(OfProject):
    @extend_schema(responses=BatchSerializer(many=True))
    def get(self, request, slug):
        """The rounds of a project, oldest first."""
        return Response(_shown(get_object_or_404(Project, slug=slug)))

    @extend_schema(request=ChangeBatchSerializer, responses={201: BatchSerializer, 400: PROBLEMS})
    def post(self, request, slug):
        """A new batch, without tasks yet."""
        project = get_object_or_404(Project, slug=slug)
        given = valid(ChangeBatchSerializer, request)
        with transaction.atomic():
            batch = actions.create_batch(actor=request.user, project=project, name=given.get("name", ""))
            if given.get("paused"):
                actions.pause_batch(actor=request.user, batch=batch)
        return Response(_shown(project, batch.pk), status=201)


class BatchDetail(OfProject):
    required_right = {"PATCH": Right.MANAGE_PROJECTS}

    @extend_schema(request=ChangeBatchSerializer, responses={200: BatchSerializer, 400: PROBLEMS})
    def patch(self, request, slug, pk):
        """Rename, pause or resume a batch. Who holds one of its tasks goes on with it."""
        batch = get_object_or_404(Batch.objects.select_related("project"), pk=pk, project__slug=slug)
        given = valid(ChangeBatchSerializer, request)
        with transaction.atomic():
            if "name" in given:
                actions.rename_batch(actor=request.user, batch=batch, name=given["name"])
            if "paused" in given:
                verb = actions.pause_batch if given["paused"] else actions.resume_batch
                verb(actor=request.user, batch=batch)
        return Response(_shown(batch.project, pk))


# People's desks


class DeskSerializer(serializers.ModelSerializer):
    person = serializers.IntegerField(source="annotator_id")
    name = serializers.CharField(source="annotator.username")

    class Meta:
        model = Desk
        fields = [
            "person", "name", "stage", "paused_because", "paused_at", "done", "gold_scores", "daily_goal",
            "takes_sensitive",
        ]  # fmt: skip


class Desks(OfProject):
    required_right = {"GET": Right.MANAGE_PROJECTS}

    @extend_schema(responses=DeskSerializer(many=True))
    def get(self, request, slug):
        """Who works in a project: how far they are, who is paused and why, how the last gold tasks went."""
        project = get_object_or_404(Project, slug=slug)
        return Response(DeskSerializer(project.desks.select_related("annotator").order_by("pk"), many=True).data)


DESK_VERBS = {
    "pause": actions.pause_desk,
    "resume": actions.resume_desk,
    "let-in": actions.let_in,
    "try-again": actions.let_try_again,
}


class DeskVerbSerializer(serializers.Serializer):
    verb = serializers.ChoiceField(list(DESK_VERBS))
    reason = serializers.CharField(required=False, help_text="Of a pause: told to the person.")


class DeskDetail(OfProject):
    required_right = {"POST": Right.MANAGE_PROJECTS}

    @extend_schema(request=DeskVerbSerializer, responses={200: DeskSerializer, 400: PROBLEMS, 409: PROBLEMS})
    def post(self, request, slug, pk):
        """Pause somebody in a project, let them go on, let them begin without the qualification, or let them try it again."""
        project, person = get_object_or_404(Project, slug=slug), get_object_or_404(User, pk=pk)
        given = valid(DeskVerbSerializer, request)
        if "reason" in given and given["verb"] != "pause":
            raise Refusal(_("Only a pause has a reason."))
        desk = DESK_VERBS[given.pop("verb")](actor=request.user, project=project, person=person, **given)
        return Response(DeskSerializer(desk).data)
