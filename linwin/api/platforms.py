"""The platform that a request asks for. There is one."""

from __future__ import annotations

import json

from linwin.errors import InvalidRequest


def check(platform: str) -> None:
    """Refuse all but Windows on amd64.

    A platform comes as ``os[/architecture[/variant]]``, or as the JSON of the
    OCI's platform object, and is empty where any will do. Raises InvalidRequest.
    """
    system, architecture = _parsed(platform)
    if system.lower() not in ("", "windows") or architecture.lower() not in ("", "amd64", "x86_64"):
        raise InvalidRequest(
            f"the platform {platform} is not supported", hint="linwin runs windows/amd64 images."
        )


def _parsed(platform: str) -> tuple[str, str]:
    if not platform.startswith("{"):
        system, _, rest = platform.partition("/")
        return system, rest.partition("/")[0]
    try:
        value = json.loads(platform)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(
            "the platform is no JSON object", hint='Write it as {"os":"windows","architecture":"amd64"}.'
        ) from error
    return str(value.get("os") or ""), str(value.get("architecture") or "")
