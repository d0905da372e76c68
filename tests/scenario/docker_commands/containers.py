"""Containers: listing, looking at, and moving them through their lives."""

from __future__ import annotations

from tests.scenario.docker_commands.differences import ONE_FORM, TEMPLATE_COLUMN
from tests.scenario.docker_commands.line import Line, Own, refused

_HEAD = "CONTAINER ID   IMAGE                  COMMAND     CREATED         STATUS          PORTS     NAMES"
_BOX = '<id>   microsoft/nanoserver   "lines 3"   <span> ago   Exited (0) <span> ago             box'
_LIVE = '<id>   microsoft/nanoserver   "hang"   <span> ago   Up <span>             live'
_FRESH = '<id>   microsoft/nanoserver   "echo a \\"quoted\\" wor…"   <span> ago   Created             fresh'
_ROWS = {
    "box": {
        "Command": '"lines 3"',
        "CreatedAt": "<time>",
        "ID": "<id>",
        "Image": "microsoft/nanoserver",
        "Labels": "<any>tier=web<any>",
        "LocalVolumes": "0",
        "Mounts": "",
        "Names": "box",
        "Networks": "nat",
        "Ports": "",
        "RunningFor": "<span> ago",
        "Size": "0B",
        "State": "exited",
        "Status": "Exited (0) <span> ago",
    }
}


def table(words: str, *rows: str) -> Line:
    """``ps`` in its default form."""
    ours = [f"{_HEAD}   TEMPLATE", *(f"{row}   wine" for row in rows)]
    if not rows:
        ours = ["<any>NAMES     TEMPLATE"]
    return Line(
        words,
        out="".join(f"{row}\n" for row in (_HEAD if rows else "<any>NAMES", *rows)),
        own=Own(TEMPLATE_COLUMN, out="".join(f"{row}\n" for row in ours)),
    )


TAKEN = (
    'Conflict. The container name "/fresh" is already in use by container "<full>". '
    "You have to remove (or rename) that container to be able to reuse that name."
)

CONTAINERS = (
    # ps
    table("ps", _LIVE),
    table("ps -a", _FRESH, _LIVE, _BOX),
    table("container ls", _LIVE),
    table("container list --all", _FRESH, _LIVE, _BOX),
    table("container ps -a --filter name=box", _BOX),
    table("ps --filter status=exited", _BOX),
    table("ps -l", _FRESH),
    table("ps -n 2", _FRESH, _LIVE),
    table("ps --filter name=nobody"),
    Line("ps -q", out="<id>\n"),
    Line("ps -aq", out="<id>\n<id>\n<id>\n"),
    Line("ps -q --no-trunc", out="<full>\n"),
    Line("ps -aq --filter label=tier", out="<id>\n"),
    Line("ps -aq --filter label=tier=db"),
    Line("ps -a --filter exited=0 --format {{.Names}}", out="box\n"),
    Line("ps -a --filter ancestor=microsoft/nanoserver --format {{.Names}}", out="fresh\nlive\nbox\n"),
    Line("ps -a --filter status=created --filter status=exited --format {{.Names}}", out="fresh\nbox\n"),
    Line("ps -a --filter before=live --format {{.Names}}", out="box\n"),
    Line("ps -a --filter since=live --format {{.Names}}", out="fresh\n"),
    Line(
        "ps -a --no-trunc --filter name=fresh --format {{.Command}}",
        out='"echo a \\"quoted\\" word and more"\n',
    ),
    Line("ps -as --filter name=box --format '{{.Names}} {{.Size}}'", out="box 8.19kB (virtual 8.19kB)\n"),
    Line("ps -a --filter name=box --format json", out=[_ROWS["box"]], needs=23),
    Line("ps -a --filter name=box --format '{{json .}}'", out=[_ROWS["box"] | {"Size": "<any>"}]),
    refused("ps --filter nope=1", "invalid filter 'nope'", hint="<any>"),
    refused("ps --filter status=nope", "invalid filter 'status=nope'", hint="<any>"),
    # looking at one
    Line("inspect --type container --format {{.Name}} box live", out="/box\n/live\n"),
    Line("inspect --format json fresh", out="[{<any>}]\n", needs=23),
    table("ps --format ''", _LIVE),
    table("ps --format table", _LIVE),
    Line("container inspect -f {{.State.Status}} fresh", out="created\n"),
    Line("inspect -s -f {{.SizeRw}} box", out="<number>\n"),
    Line(
        "inspect nobody",
        out="[]\n",
        err="Error: No such object: nobody\n",
        code=1,
        own=Own(ONE_FORM, err="linwin: No such object: nobody\n"),
    ),
    Line(
        "inspect -f {{.Name}} box nobody",
        out="/box\n",
        err="Error: No such object: nobody\n",
        code=1,
        own=Own(ONE_FORM, err="linwin: No such object: nobody\n"),
    ),
    refused("container inspect nobody", "No such container: nobody", out="[]\n"),
    refused("inspect --type container team/app:1", "No such container: team/app:1", out="[]\n"),
    Line("logs box", out="line 0\nline 2\n", err="line 1\n"),
    Line("logs --tail 1 box", out="line 2\n"),
    Line("logs -t -n 1 box", out="<time> line 2\n"),
    Line("container logs --until 1h box"),
    refused("logs nobody", "No such container: nobody"),
    Line("port box"),
    Line(
        "port box 80",
        err="Error: No public port '80' published for box\n",
        code=1,
        needs=28,
        own=Own(ONE_FORM, err="linwin: No public port '80' published for box\n"),
    ),
    refused("port nobody", "No such container: nobody"),
    Line(
        "top live",
        out="Name                PID                 CPU                 Private Working Set\n"
        "hang.exe            40                  01:00:01.234        1.364MB\n",
    ),
    refused("top live -ef", "Windows does not support arguments to top", hint="<any>"),
    refused("top box", "container <full> is not running", hint="<any>"),
    refused("top nobody", "No such container: nobody"),
    Line(
        "stats --no-stream live",
        out="CONTAINER ID   NAME      CPU %     PRIV WORKING SET   NET I/O     BLOCK I/O\n"
        "<id>   live      <number>%    4MiB               5kB / 6kB   2kB / 4kB\n",
    ),
    Line("stats --no-stream --format '{{.Name}} {{.MemUsage}}' live", out="live 4MiB\n"),
    Line(
        "stats --no-stream --format json live",
        needs=23,
        out=[
            {
                "BlockIO": "2kB / 4kB",
                "CPUPerc": "<number>%",
                "Container": "live",
                "ID": "<id>",
                "MemPerc": "--",
                "MemUsage": "4MiB",
                "Name": "live",
                "NetIO": "5kB / 6kB",
                "PIDs": "--",
            }
        ],
    ),
    refused("stats --no-stream nobody", "No such container: nobody"),
    # changing them
    Line("rename box crate"),
    Line(
        "rename box fresh",
        code=1,
        err=f"Error response from daemon: {TAKEN}\nError: failed to rename container named box\n",
        own=Own(ONE_FORM, err=f"linwin: {TAKEN}\n"),
    ),
    Line("update --restart unless-stopped box live", out="box\nlive\n"),
    Line(
        "update live",
        code=1,
        err="you must provide one or more flags when using this command\n",
        own=Own(ONE_FORM, err="linwin: you must provide one or more flags when using this command\n<any>\n"),
    ),
    refused(
        "update --restart nope box",
        "invalid restart policy: unknown policy 'nope'; "
        "use one of 'no', 'always', 'on-failure', or 'unless-stopped'",
        needs=28,
    ),
    refused("update --restart no nobody", "No such container: nobody"),
    Line("start box", out="box\n"),
    Line("start live", out="live\n"),
    Line(
        "start -a box live",
        code=1,
        err="you cannot start and attach multiple containers at once\n",
        own=Own(ONE_FORM, err="linwin: you cannot start and attach multiple containers at once\n<any>\n"),
        needs=28,
    ),
    Line("start -a box", out="line 0\nline 2\n", err="line 1\n"),
    Line(
        "start nobody",
        code=1,
        err="Error response from daemon: No such container: nobody\n"
        "Error: failed to start containers: nobody\n",
        own=Own(ONE_FORM, err="linwin: No such container: nobody\n"),
    ),
    Line("stop live box", out="live\nbox\n"),
    Line("stop -t 0 live", out="live\n"),
    refused("stop nobody", "No such container: nobody"),
    Line("restart -t 0 live", out="live\n"),
    refused("restart nobody", "No such container: nobody"),
    Line("kill live", out="live\n"),
    Line("kill -s TERM live", out="live\n"),
    Line("kill --signal 2 live", out="live\n"),
    refused("kill -s NOPE live", "invalid signal: NOPE", hint="<any>"),
    refused("kill box", "cannot kill container: box: container <full> is not running", hint="<any>"),
    refused("kill nobody", "No such container: nobody"),
    Line("pause live", out="live\n"),
    refused("pause box", "container <full> is not running", hint="<any>"),
    refused("unpause live", "Container <full> is not paused", hint="<any>"),
    Line("wait box", out="0\n"),
    refused("wait nobody", "No such container: nobody"),
    Line("rm box fresh", out="box\nfresh\n"),
    Line("rm -f live", out="live\n"),
    Line("rm -fv live", out="live\n"),
    Line("container rm box", out="box\n"),
    refused(
        "rm live",
        'cannot remove container "/live": container is running: '
        "stop the container before removing or force remove",
    ),
    refused("rm box nobody", "No such container: nobody", out="box\n"),
    refused("rm -f nobody", "No such container: nobody", code=0, needs=28),
    Line(
        "container prune -f --filter label=tier=web",
        out="Deleted Containers:\n<full>\n\nTotal reclaimed space: <number>kB\n",
    ),
    Line(
        "container prune",
        out="WARNING! This will remove all stopped containers.\n"
        "Are you sure you want to continue? [y/N] <rest>",
        stdin="n\n",
    ),
    Line("diff box"),
    # into images and archives
    Line("commit box x", out="sha256:<full>\n"),
    Line("container commit -a me -m words -c 'CMD a' --pause=false box x:1", out="sha256:<full>\n"),
    refused("commit nobody x", "No such container: nobody"),
    refused("export nobody", "No such container: nobody"),
)
