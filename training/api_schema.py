"""The methods' settings in the OpenAPI schema, from their Configs: one component a method, named as `config` of a new run."""

from typing import Any

from .engine import methods

REFERENCE = "#/components/schemas/{model}"


def add_methods(result: dict[str, Any], generator: object, request: object, public: bool) -> dict[str, Any]:
    """A postprocessing hook of drf-spectacular."""
    schemas = result["components"]["schemas"]
    names = []
    for method in methods.names():
        schema = methods.config_of(method).model_json_schema(ref_template=REFERENCE)
        schemas |= schema.pop("$defs", {})
        name = f"{''.join(word.capitalize() for word in method.split('_'))}Settings"
        schemas[name] = schema | {"title": name}
        names.append(name)
    wanted = schemas["NewRun"]["properties"]["config"]
    about = {key: wanted[key] for key in ("description", "default") if key in wanted}
    schemas["NewRun"]["properties"]["config"] = about | {"anyOf": [{"$ref": REFERENCE.format(model=n)} for n in names]}
    result["components"]["schemas"] = schemas
    return result
