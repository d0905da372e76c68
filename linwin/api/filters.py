"""Which containers and images a listing shows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase

from linwin.api.endpoints import port_list
from linwin.api.networking import port_range
from linwin.api.query import Filters, boolean_filter
from linwin.api.render import STATES, UP, familiar, state_of, unix_seconds
from linwin.engine.attach import endpoints
from linwin.engine.network_names import plain
from linwin.errors import InvalidRequest
from linwin.model.container import Container
from linwin.model.image import Image
from linwin.model.mount import parse_target
from linwin.model.network import NO_NETWORK

CONTAINER_FILTERS = frozenset(
    {"id", "name", "status", "label", "ancestor", "exited", "before", "since", "health"}
    | {"network", "publish", "expose", "volume"}
)
IMAGE_FILTERS = frozenset({"reference", "label", "dangling", "before", "since"})

_STATUSES = frozenset(STATES.values())
_HEALTH = frozenset({"none", "starting", "healthy", "unhealthy"})
_LONGEST_PATTERN = 1000

PortRange = tuple[tuple[int, int], str]
"""First and last number, and the protocol."""


def containers(
    found: Iterable[Container],
    wanted: Filters,
    *,
    everything: bool,
    limit: int,
    ancestors: frozenset[str],
    before: Container | None,
    since: Container | None,
) -> list[Container]:
    """Filter a list that is newest first, as docker's ``ps`` does.

    Stopped ones are shown with ``everything``, a limit or a status filter. The
    values of one filter are alternatives, except labels, which must all be
    there. ``ancestors`` are image ids; a ``limit`` of 0 or less is none.
    """
    statuses = _statuses(wanted)
    show = _container_test(wanted, ancestors)
    chosen = [
        container
        for container in found
        if (everything or limit > 0 or statuses or state_of(container) in UP)
        and (not statuses or state_of(container) in statuses)
        and (before is None or _age(container) < _age(before))
        and (since is None or _age(container) > _age(since))
        and show(container)
    ]
    return chosen[:limit] if limit > 0 else chosen


def _age(container: Container) -> tuple[int, str]:
    return container.created_at, container.id


def _statuses(wanted: Filters) -> frozenset[str]:
    for status in wanted.get("status", ()):
        if status not in _STATUSES:
            raise InvalidRequest(
                f"invalid filter 'status={status}'", hint=f"Use one of: {', '.join(sorted(_STATUSES))}."
            )
    return frozenset(wanted.get("status", ()))


def _health(wanted: Filters) -> frozenset[str]:
    for status in wanted.get("health", ()):
        if status not in _HEALTH:
            raise InvalidRequest(
                f"invalid filter 'health={status}'", hint=f"Use one of: {', '.join(sorted(_HEALTH))}."
            )
    return frozenset(wanted.get("health", ()))


def _container_test(wanted: Filters, ancestors: frozenset[str]) -> Callable[[Container], bool]:
    ids = [pattern("id", text) for text in wanted.get("id", ())]
    names = [pattern("name", text) for text in wanted.get("name", ())]
    health = _health(wanted)
    published, exposed = _ports(wanted, "publish"), _ports(wanted, "expose")
    codes = {_exit_code(text) for text in wanted.get("exited", ())}

    def test(container: Container) -> bool:
        return (
            (not ids or any(one.search(container.id) for one in ids))
            and (not names or any(_names(one, container.name) for one in names))
            and (not codes or (state_of(container) == "exited" and container.exit_code in codes))
            and (not health or (container.health or "none") in health)
            and ("ancestor" not in wanted or container.image_id in ancestors)
            and labelled(container.labels, wanted.get("label", ()))
            and ("network" not in wanted or _is_in(container, wanted["network"]))
            and ("volume" not in wanted or _has_mount(container, wanted["volume"]))
            and (not (published or exposed) or _has_port(container, published, exposed))
        )

    return test


def _ports(wanted: Filters, key: str) -> frozenset[PortRange]:
    return frozenset(_range(key, text) for text in wanted.get(key, ()))


def _range(key: str, text: str) -> PortRange:
    """``80``, ``80/udp`` or a range."""
    try:
        return port_range(text, key)
    except InvalidRequest as error:
        raise InvalidRequest(
            f"invalid filter '{key}={text}'", hint="Use PORT/PROTOCOL or FIRST-LAST/PROTOCOL."
        ) from error


def _has_port(container: Container, published: frozenset[PortRange], exposed: frozenset[PortRange]) -> bool:
    """As docker's: a port of the host, or one of the container, of those that ``ps`` lists, is enough."""
    return any(
        _among(port.get("PublicPort", 0), port["Type"], published)
        or _among(port["PrivatePort"], port["Type"], exposed)
        for port in port_list(container)
    )


def _among(number: int, protocol: str, ranges: Iterable[PortRange]) -> bool:
    return any(first <= number <= last and protocol == one for (first, last), one in ranges)


def _is_in(container: Container, networks: Iterable[str]) -> bool:
    """Whether a container is in one of some networks, by name, or by id where it runs."""
    names = {endpoint.network for endpoint in endpoints(container.spec)} or {NO_NETWORK}
    ids = [attachment.network_id for attachment in container.attachments]
    return any(text in names or any(one.startswith(text) for one in ids) for text in map(plain, networks))


def _has_mount(container: Container, wanted: Iterable[str]) -> bool:
    """As docker's: by a volume's name, a source on the host, or a path in the container."""
    shown = {text for mount in container.mounts for text in (mount.source, mount.target) if text}
    return any(text in shown or _target(text) in shown for text in wanted)


def _target(text: str) -> str:
    """The path of a container that a text spells; the text itself where it spells none."""
    try:
        return parse_target(text)
    except ValueError:
        return text


def _names(expression: re.Pattern[str], name: str) -> bool:
    return bool(expression.search(name) or expression.search(f"/{name}"))


def pattern(key: str, text: str) -> re.Pattern[str]:
    """Docker's id and name filters are regular expressions that may match anywhere."""
    if len(text) > _LONGEST_PATTERN:
        raise InvalidRequest(f"invalid filter '{key}'", hint=f"At most {_LONGEST_PATTERN} characters.")
    try:
        return re.compile(text)
    except re.error as error:
        raise InvalidRequest(
            f"invalid filter '{key}={text}'", hint=f"Not a regular expression: {error}."
        ) from error


def _exit_code(text: str) -> int:
    if not re.fullmatch(r"-?\d{1,10}", text):
        raise InvalidRequest(f"invalid filter 'exited={text}'", hint="Use an exit code.")
    return int(text)


def labelled(labels: Mapping[str, str], wanted: Iterable[str]) -> bool:
    """Whether all of ``key`` or ``key=value`` are among ``labels``."""
    for text in wanted:
        key, equals, value = text.partition("=")
        if key not in labels or (equals and labels[key] != value):
            return False
    return True


def images(
    found: Iterable[Image], wanted: Filters, *, before: Image | None, since: Image | None
) -> list[Image]:
    """Filter images; ``reference`` patterns are shell's, where ``*`` stops at a slash."""
    dangling = boolean_filter(wanted, "dangling")
    patterns = wanted.get("reference", ())
    return [
        image
        for image in found
        if (dangling is None or dangling is not bool(image.references))
        and (not patterns or any(_refers(reference, patterns) for reference in image.references))
        and labelled(image.config.labels, wanted.get("label", ()))
        and (before is None or unix_seconds(image.created) < unix_seconds(before.created))
        and (since is None or unix_seconds(image.created) > unix_seconds(since.created))
    ]


def _refers(reference: str, patterns: Iterable[str]) -> bool:
    shown = familiar(reference)
    names = {shown, reference, *map(_without_tag, (shown, reference))}
    return any(_matches(name, pattern) for pattern in patterns for name in names)


def _without_tag(reference: str) -> str:
    folder, slash, last = reference.rpartition("/")
    return folder + slash + last.partition(":")[0]


def _matches(name: str, pattern: str) -> bool:
    parts, patterns = name.split("/"), pattern.split("/")
    return len(parts) == len(patterns) and all(map(fnmatchcase, parts, patterns))
