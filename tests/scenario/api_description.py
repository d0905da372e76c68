"""Docker's own description of its API (Swagger 2.0), as JSON schemas for the answers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import jsonschema
import yaml

BESIDE_THE_PROJECT = Path(__file__).parents[3] / "shared" / "docker-api" / "v1.50.yaml"


def find() -> Path | None:
    """``LINWIN_API_SPEC``, or the file beside the project."""
    path = Path(os.environ.get("LINWIN_API_SPEC") or BESIDE_THE_PROJECT)
    return path if path.is_file() else None


class Description:
    def __init__(self, path: Path) -> None:
        document = yaml.load(path.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        self._paths: dict[str, Any] = document["paths"]
        self._definitions = {name: _schema(value) for name, value in document["definitions"].items()}

    def check(self, method: str, path: str, status: int, value: Any) -> None:
        """Raise jsonschema.ValidationError unless ``value`` is what ``path`` answers with ``status``."""
        described = self._paths[path][method.lower()]["responses"][status]["schema"]
        schema = {**_schema(described), "definitions": self._definitions}
        jsonschema.Draft4Validator(schema).validate(value)


def _schema(value: Any) -> Any:
    """Swagger's dialect → JSON schema.

    ``x-nullable`` allows null. So do arrays and maps, which docker's own
    server (Go's nil) sends as null, although its description does not say so.
    """
    if isinstance(value, list):
        return [_schema(item) for item in value]
    if not isinstance(value, dict):
        return value
    schema = {key: _schema(item) for key, item in value.items() if key not in ("example", "default")}
    if "$ref" in schema:
        return {"$ref": schema["$ref"]}
    if isinstance(schema.get("type"), str) and (
        value.get("x-nullable") or schema["type"] in ("array", "object")
    ):
        schema["type"] = [schema["type"], "null"]
    return schema
