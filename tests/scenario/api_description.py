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


STREAMED = {
    ("post", "/images/create"): "CreateImageInfo",
    ("post", "/images/{name}/push"): "PushImageInfo",
    ("post", "/build"): "BuildInfo",
}
"""What each line of a stream is, where the description of the route does not say so."""

UNDESCRIBED = {
    ("post", "/containers/{id}/exec"): {201},
    ("post", "/exec/{id}/start"): {101},  # its text says so
    ("post", "/containers/{id}/restart"): {204},
    ("post", "/build/cancel"): {200},
}
"""What docker's daemon answers, and its description forgets."""

ANY_TYPE = frozenset({"/containers/{id}/attach/ws", "/exec/{id}/start"})
"""Routes whose content types the description does not have right for an upgraded connection."""


class Description:
    """Docker's description, corrected where docker's own daemon does otherwise."""

    def __init__(self, path: Path) -> None:
        document = yaml.load(path.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        self._paths: dict[str, Any] = document["paths"]
        self._definitions = {name: _schema(value) for name, value in document["definitions"].items()}
        self._correct()

    def _correct(self) -> None:
        """Admit what docker's own daemon answers although its description does not say so."""
        exec_: dict[str, Any] = self._operation("GET", "/exec/{id}/json")["responses"][200]["schema"]
        exec_["properties"]["ExitCode"]["x-nullable"] = True  # before its end
        settings = self._definitions["HostConfig"]["allOf"][1]["properties"]
        settings["CgroupnsMode"]["enum"].append("")  # on Windows, which has none

    def knows(self, method: str, path: str, status: int) -> bool:
        """Whether docker answers so."""
        extra = UNDESCRIBED.get((method.lower(), path), set())
        return status in extra or status in self._operation(method, path).get("responses", {})

    def headers(self, method: str, path: str, status: int) -> set[str]:
        """The headers that the answer has, beside those of all answers."""
        response = self._operation(method, path).get("responses", {}).get(status, {})
        return set(response.get("headers", {})) if status < 400 else set()

    def content_types(self, method: str, path: str) -> set[str]:
        """What an answer may be; empty where nothing is said."""
        return set() if path in ANY_TYPE else set(self._operation(method, path).get("produces", ()))

    def check(self, method: str, path: str, status: int, value: Any) -> None:
        """Raise jsonschema.ValidationError unless ``value`` is what ``path`` answers with ``status``."""
        if status >= 400:  # docker's daemon answers more of them than are described, all in one form
            self.check_definition("ErrorResponse", value)
            return
        if streamed := STREAMED.get((method.lower(), path)):
            self.check_definition(streamed, value)
            return
        response = self._operation(method, path)["responses"][status]
        if "schema" in response:
            self._validate(_schema(response["schema"]), value)

    def check_definition(self, name: str, value: Any) -> None:
        """The same for one of the description's definitions."""
        self._validate({"$ref": f"#/definitions/{name}"}, value)

    def fields(self, name: str) -> set[str]:
        """The names of all fields that a definition has, those of its parts included."""
        return _fields(self._definitions, self._definitions[name])

    def _operation(self, method: str, path: str) -> Any:
        return self._paths.get(path, {}).get(method.lower(), {})

    def _validate(self, schema: Any, value: Any) -> None:
        jsonschema.Draft4Validator({**schema, "definitions": self._definitions}).validate(value)


def _fields(definitions: dict[str, Any], schema: Any) -> set[str]:
    names = set(schema.get("properties", ()))
    for part in schema.get("allOf", ()):
        names |= _fields(definitions, part)
    if "$ref" in schema:
        names |= _fields(definitions, definitions[schema["$ref"].rpartition("/")[2]])
    return names


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
