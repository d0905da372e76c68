"""The daemon as a whole: version, info, disk usage, events, logins, contexts."""

from __future__ import annotations

from tests.scenario.docker_commands.differences import SHOWS_THE_WAY
from tests.scenario.docker_commands.line import Line, Own, refused

_NONE = "Local Volumes   0         0         0B        0B\nBuild Cache     0         0         0B        0B\n"

SYSTEM = (
    Line("version -f {{.Server.Os}}/{{.Server.Arch}}", out="windows/amd64\n"),
    Line("version --format '{{.Server.APIVersion}} {{.Server.MinAPIVersion}}'", out="1.50 1.24\n"),
    Line("version --format '{{json .Server.Platform}}'", out='{"Name":"linwin"}\n'),
    Line(
        "version",
        out="Client:<rest>\n\nServer: linwin\n Engine:\n  Version:          <any>\n"
        "  API version:      1.50 (minimum version 1.24)\n<rest>",
    ),
    Line("info -f '{{.OSType}} {{.NCPU}} {{.ServerVersion}}'", out="windows <number> <any>\n"),
    Line(
        "system info --format '{{.Containers}} {{.ContainersRunning}} {{.ContainersStopped}}'", out="3 1 2\n"
    ),
    Line("system info -f '{{json .Swarm.LocalNodeState}}'", out='"inactive"\n'),
    Line(
        "system df",
        out="TYPE            TOTAL     ACTIVE    SIZE      RECLAIMABLE\n"
        "Images          2         1         0B        0B\n"
        f"Containers      3         1         <number>kB   <number>kB (<number>%)\n{_NONE}",
    ),
    Line(
        "system df --format '{{.Type}}: {{.TotalCount}}'",
        out="Images: 2\nContainers: 3\nLocal Volumes: 0\nBuild Cache: 0\n",
    ),
    Line(
        "system df -v",
        out="Images space usage:\n\n<rest>\nContainers space usage:\n\n<rest>\nLocal Volumes space usage:\n\n"
        "VOLUME NAME   LINKS     SIZE\n\nBuild cache usage: 0B\n\n"
        "CACHE ID   CACHE TYPE   SIZE      CREATED   LAST USED   USAGE     SHARED\n",
    ),
    Line(
        "events --since 1h --until=-1s --filter event=die",
        out="<time> container die <full> (execDuration=0, exitCode=0, image=microsoft/nanoserver, "
        "maker=tests, name=box, tier=web)\n",
        needs=23,
    ),
    Line(
        "events --since 1h --until=-1s -f container=fresh "
        "--format '{{.Type}} {{.Action}} {{.Actor.Attributes.name}}'",
        out="container create fresh\n",
    ),
    Line(
        "system events --since 1h --until=-1s -f container=fresh --format '{{.Status}} {{.From}} {{.ID}}'",
        out="create microsoft/nanoserver <full>\n",
    ),
    Line(
        "events --since 1h --until=-1s -f event=create -f container=box --format json",
        needs=23,
        out=[{"Type": "container", "Action": "create", "from": "microsoft/nanoserver", "scope": "local"}],
    ),
    Line(
        "login",
        code=1,
        err="Error: Cannot perform an interactive login from a non TTY device\n",
        own=Own(
            SHOWS_THE_WAY,
            err="linwin: Cannot perform an interactive login from a non TTY device\n<any>\n",
        ),
    ),
    Line("context show", out="default\n", needs=23),
    Line("context ls --format '{{.Name}} {{.Current}}'", out="default true\n", err="<rest>"),
    Line("context inspect --format '{{.Name}} {{.Endpoints.docker.Host}}'", out="default unix://<any>\n"),
    Line(
        "context use nobody",
        code=1,
        needs=28,
        err='context "nobody": context not found: open <any>: no such file or directory\n',
        own=None,
    ),
    Line("volume prune -f", out="Total reclaimed space: 0B\n"),
    Line(
        "info -f '{{range .DriverStatus}}{{index . 0}}={{index . 1}};{{end}}'", out="Accelerator=tcg;<any>\n"
    ),
    Line("version -f '{{range .Server.Components}}{{.Name}} {{end}}'", out="Engine QEMU \n"),
    Line("builder prune -f", out="Total reclaimed space: 0B\n"),
    Line("volume ls", out="DRIVER    VOLUME NAME\n"),
    Line("volume ls -q"),
    Line("volume create data", out="data\n"),
    Line("volume create --label a=b --driver local", out="<full>\n"),
    refused(
        "volume create a/b",
        'create a/b: "a/b" includes invalid characters for a local volume name, only '
        '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute '
        "path",
    ),
    refused(
        "volume create a",
        "create a: volume name is too short, names should be at least two alphanumeric characters",
    ),
    refused(
        "volume create -d ceph data",
        'create data: error looking up volume plugin ceph: plugin "ceph" not found',
        hint="Use local, the default.",
    ),
    refused("volume create -o type=nfs data", "linwin does not support the volume option type", hint="<any>"),
    refused("volume rm data", "get data: no such volume"),
    refused("volume inspect data", "get data: no such volume", out="[]\n"),
)
