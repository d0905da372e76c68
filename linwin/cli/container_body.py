"""What the options of ``run`` and ``create`` ask for, as the API's request body."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from linwin.cli import mount_options, network_options
from linwin.cli.key_values import environment, labels
from linwin.cli.lifetime_options import health_check, restart_policy
from linwin.errors import InvalidRequest


def streams_to_attach(options: Mapping[str, Any], *, detach: bool) -> frozenset[str]:
    """Which of stdin, stdout and stderr ``run`` connects. Standard input needs ``-i`` as well."""
    if detach:
        return frozenset()
    wanted: frozenset[str] = options["attached"] or frozenset({"stdin", "stdout", "stderr"})
    return wanted if options["interactive"] else wanted - {"stdin"}


def creation(options: Mapping[str, Any], *, attach: frozenset[str]) -> dict[str, Any]:
    """The body of ``POST /containers/create`` (Docker Engine API, "ContainerCreate")."""
    image, *command = options["words"]
    entrypoint = options["entrypoint"]
    networks, host_networks = network_options.networking(options)
    volumes, host_mounts = mount_options.mounting(options)
    body: dict[str, Any] = {
        "Image": image,
        "Cmd": command or None,
        # An entrypoint given as "" clears the image's; docker's client says that with an empty word.
        "Entrypoint": None if entrypoint is None else [entrypoint],
        "Env": environment(options["env_files"], options["env"]),
        "WorkingDir": options["workdir"],
        "User": options["user"],
        "Hostname": options["hostname"],
        "Domainname": options["domainname"],
        "Labels": labels(options["label_files"], options["labels"]),
        "Tty": options["tty"],
        "OpenStdin": options["interactive"],
        "StdinOnce": options["interactive"] and "stdin" in attach,
        "AttachStdin": "stdin" in attach,
        "AttachStdout": "stdout" in attach,
        "AttachStderr": "stderr" in attach,
        "HostConfig": {
            "AutoRemove": options["auto_remove"],
            "Memory": options["memory"],
            "NanoCpus": round(options["cpus"] * 1e9),
            **log_config(options),
            **console_size(options),
            **host_networks,
            **host_mounts,
        },
        **networks,
        **volumes,
    }
    for option, field in (("privileged", "Privileged"), ("read_only", "ReadonlyRootfs")):
        if options[option]:
            body["HostConfig"][field] = True
    if options["isolation"]:
        body["HostConfig"]["Isolation"] = options["isolation"]
    own = {"Cold": options["cold"], "Template": options["template"]}
    if any(own.values()):
        body["Linwin"] = {name: value for name, value in own.items() if value}
    if options["restart"] is not None:
        if options["auto_remove"] and options["restart"] != "no":
            raise InvalidRequest("conflicting options: cannot specify both --restart and --rm")
        body["HostConfig"]["RestartPolicy"] = restart_policy(options["restart"])
    if (check := health_check(options)) is not None:
        body["Healthcheck"] = check
    if options["stop_signal"] is not None:
        body["StopSignal"] = options["stop_signal"]
    if options["stop_timeout"] is not None:
        body["StopTimeout"] = options["stop_timeout"]
    return body


def log_config(options: Mapping[str, Any]) -> dict[str, Any]:
    """Where its output goes, where that is not the daemon's business."""
    if not (options["log_driver"] or options["log_opts"]):
        return {}
    return {"LogConfig": {"Type": options["log_driver"], "Config": options["log_opts"]}}


def console_size(options: Mapping[str, Any]) -> dict[str, list[int]]:
    """The size of our terminal, where the program is to have one."""
    if not options["tty"]:
        return {}
    from linwin.cli import terminal

    return {"ConsoleSize": list(terminal.size())}
