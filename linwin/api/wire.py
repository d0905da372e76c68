"""The body of a create request → :class:`ContainerSpec`."""

from __future__ import annotations

from linwin.api import hostconfig, mounts, networking, shapes
from linwin.api.fields import Fields
from linwin.errors import InvalidRequest, Unsupported
from linwin.model.container import ContainerSpec
from linwin.model.health import HealthCheck

_HEALTH_TIMES = ("Interval", "Timeout", "StartPeriod", "StartInterval")
_SHORTEST_TIME = 1_000_000


def container_spec(body: Fields) -> tuple[ContainerSpec, tuple[str, ...]]:
    """What the client asked for, and docker's warnings about what was ignored.

    Raises InvalidRequest for malformed fields, Unsupported for those that
    linwin cannot honour and must not ignore.
    """
    shapes.check(body, shapes.CONTAINER_CONFIG)
    _refuse_what_would_be_lost(body)
    host = hostconfig.parse(body.object("HostConfig"))
    network, mounted = networking.parse(body), mounts.parse(body)
    spec = ContainerSpec(
        image=_image(body),
        entrypoint=body.words("Entrypoint"),
        cmd=body.words("Cmd") or None,
        env=environment_of(body),
        working_dir=body.text("WorkingDir"),
        user=body.text("User"),
        hostname=body.text("Hostname"),
        domainname=body.text("Domainname"),
        labels=body.mapping("Labels"),
        exposed_ports=networking.exposed(body),
        volumes=mounted.volumes,
        mounts=mounted.mounts,
        volumes_from=mounted.volumes_from,
        tty=body.flag("Tty"),
        open_stdin=body.flag("OpenStdin"),
        stdin_once=body.flag("StdinOnce"),
        attach_stdin=body.flag("AttachStdin"),
        attach_stdout=body.flag("AttachStdout"),
        attach_stderr=body.flag("AttachStderr"),
        stop_signal=body.text("StopSignal"),
        stop_timeout=body.integer("StopTimeout"),
        health_check=health_check_of(body.object("Healthcheck")),
        auto_remove=host.auto_remove,
        restart=host.restart,
        memory=host.memory,
        cpus=host.cpus,
        console_size=host.console_size,
        log_driver=host.log_driver,
        log_options=host.log_options,
        endpoints=network.endpoints,
        ports=network.ports,
        publish_all=network.publish_all,
        dns=network.dns,
        dns_search=network.dns_search,
        extra_hosts=network.extra_hosts,
        cold=body.object("Linwin").flag("Cold"),
        template=body.object("Linwin").text("Template"),
        host_config=hostconfig.echoed(body.object("HostConfig")),
    )
    return spec, (*host.warnings, *_warnings(body))


def _refuse_what_would_be_lost(body: Fields) -> None:
    if body.flag("NetworkDisabled"):
        raise Unsupported(
            "linwin does not support NetworkDisabled", hint="Set HostConfig.NetworkMode to none instead."
        )


UNUSED = ("OnBuild", "Shell")
"""What counts for builds, and for health checks in words of a shell: those of the image apply."""


def _warnings(body: Fields) -> tuple[str, ...]:
    return tuple(f"linwin has no use for {name} yet; it is ignored" for name in UNUSED if body.given(name))


def health_check_of(fields: Fields) -> HealthCheck | None:
    """``Healthcheck``, refused in docker's words; None where there is none."""
    if not fields.raw():
        return None
    test = fields.texts("Test") or ()
    if test and (test[0] not in ("NONE", "CMD", "CMD-SHELL") or (len(test) == 1) != (test[0] == "NONE")):
        raise InvalidRequest(
            f"invalid health check: {list(test)}",
            hint='Test is ["NONE"], ["CMD", PROGRAM, …] or ["CMD-SHELL", COMMAND].',
        )
    times = {name: fields.integer(name) or 0 for name in _HEALTH_TIMES}
    for name, value in times.items():
        if value != 0 and value < _SHORTEST_TIME:
            raise InvalidRequest(
                f"{name} in Healthcheck cannot be less than 1ms", hint="Times are nanoseconds."
            )
    retries = fields.integer("Retries") or 0
    if retries < 0:
        raise InvalidRequest("Retries in Healthcheck cannot be negative")
    interval, timeout, start_period, start_interval = times.values()
    return HealthCheck(test, interval, timeout, start_period, start_interval, retries)


def _image(body: Fields) -> str:
    image = body.text("Image")
    if not image:
        raise InvalidRequest(
            "no image was named", hint="Set Image to a reference such as microsoft/nanoserver."
        )
    return image


def environment_of(body: Fields) -> tuple[str, ...]:
    """``Env``. Raises InvalidRequest for a variable without a name."""
    variables = body.texts("Env") or ()
    for variable in variables:
        if not variable or variable.startswith("="):
            raise InvalidRequest(f"invalid environment variable: {variable}", hint="Use NAME=value.")
    return variables
