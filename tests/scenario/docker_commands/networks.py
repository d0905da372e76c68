"""Networks and published ports."""

from __future__ import annotations

from tests.scenario.docker_commands.line import Line, refused

_TABLE = (
    "NETWORK ID     NAME      DRIVER    SCOPE\n"
    "<id>   nat       nat       local\n"
    "<id>   none      null      local\n"
)

NETWORKS = (
    Line("network ls", out=_TABLE),
    Line("network list --filter driver=nat --format {{.Name}}", out="nat\n"),
    Line("network ls -q", out="<id>\n<id>\n"),
    Line("network ls --no-trunc -q --filter name=none", out="<full>\n"),
    Line("network ls --format '{{.Name}} {{.Driver}} {{.Scope}}'", out="nat nat local\nnone null local\n"),
    Line("network create app", out="<full>\n"),
    Line("network create --driver nat --label a=b app", out="<full>\n"),
    refused("network create nat", "operation is not permitted on predefined nat network "),
    Line("network inspect -f '{{.Name}} {{.Driver}} {{.Scope}}' nat", out="nat nat local\n"),
    Line("inspect --type network -f {{.Name}} nat none", out="nat\nnone\n"),
    refused("network inspect nobody", "network nobody not found", out="[]\n", hint="<any>", needs=24),
    # docker 28 says "exit status 1" behind it.
    refused("network rm nobody", "network nobody not found", hint="<rest>", needs=24),
    Line(
        "network rm nat",
        err="Error response from daemon: nat is a pre-defined network and cannot be removed<rest>",
        code=1,
    ),
    Line("network prune -f"),
    refused("network connect nobody box", "network nobody not found", hint="<any>", needs=24),
    Line("ps -a --filter network=none -q"),
    Line("ps -q --filter network=nat", out="<id>\n"),
)
