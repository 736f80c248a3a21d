"""Entries of the audit trail from before they said where they belong: decisions about what stands in a project."""

from django.db import migrations

KINDS = ["Dataset", "Task", "Batch", "Desk"]
AT_ONCE = 500


def say_where_they_belong(apps, schema_editor) -> None:
    AuditEntry = apps.get_model("people", "AuditEntry")
    for kind in KINDS:
        entries = AuditEntry.objects.filter(object_type=f"labeling.{kind}", place="", routine=False)
        keys = sorted({int(key) for key in entries.values_list("object_id", flat=True) if key.isdecimal()})
        for start in range(0, len(keys), AT_ONCE):
            there = apps.get_model("labeling", kind).objects.filter(pk__in=keys[start : start + AT_ONCE])
            of_project: dict[int, list[str]] = {}
            for key, project in there.exclude(project=None).values_list("pk", "project"):
                of_project.setdefault(project, []).append(str(key))
            for project, its in of_project.items():
                entries.filter(object_id__in=its).update(place=f"labeling.project:{project}")


class Migration(migrations.Migration):
    dependencies = [("labeling", "0004_seconds"), ("people", "0004_trail")]

    operations = [migrations.RunPython(say_where_they_belong, migrations.RunPython.noop)]
