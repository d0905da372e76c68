"""``run``, ``create`` and ``exec``: streams, exit codes, and what is said when it does not work."""

from __future__ import annotations

from tests.scenario.docker_commands.containers import TAKEN
from tests.scenario.docker_commands.differences import ONE_FORM, SHOWS_THE_WAY
from tests.scenario.docker_commands.line import Line, Own, refused

RUN = "docker: Error response from daemon: "


def run_refused(words: str, sentence: str, *, code: int = 125, hint: str = "", before: str = "") -> Line:
    """A ``run`` that came to nothing, docker's last line apart, which differs between its versions."""
    return Line(words, err=f"{before}{RUN}{sentence}\n", hint=hint, code=code)


RUNS = (
    Line("run --rm microsoft/nanoserver", out="hello from nanoserver\n"),
    Line("run --rm microsoft/nanoserver cmd /c echo hi", out="hi\n"),
    Line("run --rm microsoft/nanoserver complain", out="to stdout\n", err="to stderr\n", code=3),
    Line("run --rm -a stderr microsoft/nanoserver complain", err="to stderr\n", code=3),
    Line("run --rm microsoft/nanoserver exit 42", code=42),
    Line("run -i --rm microsoft/nanoserver sort", stdin="b\na\n", out="a\nb\n"),
    Line("run -d microsoft/nanoserver hang", out="<full>\n"),
    Line("run --rm -e A=1 --env B=2 microsoft/nanoserver set", out="A=1\nB=2\nFROM_IMAGE=yes\n"),
    Line("run --rm --entrypoint echo microsoft/nanoserver x", out="x\n"),
    Line("run --rm --name taken --label a=b team/app:1", out="loaded\n"),
    Line("run --rm --pull never team/app:1", out="loaded\n"),
    run_refused(
        "run --rm microsoft/nanoserver nothing.exe",
        "container encountered an error during CreateProcess: "
        "nothing.exe: The system cannot find the file specified.",
        code=127,
        hint="<any>",
    ),
    run_refused("run --rm microsoft/nanoserver denied", 'exec: "denied": permission denied', code=126),
    run_refused("run --name fresh microsoft/nanoserver", TAKEN),
    run_refused(
        "run no/such",
        "pull access denied for no/such, repository does not exist or may require "
        "'docker login': denied: requested access to the resource is denied",
        before="Unable to find image 'no/such:latest' locally\n",
    ),
    run_refused("run --pull never no/such", "No such image: no/such:latest", hint="<any>"),
    run_refused(
        "run -v C:/a:C:/b microsoft/nanoserver",
        "invalid volume specification: 'C:/a:C:/b'",
        hint="<any>",
    ),
    run_refused(
        "run --privileged microsoft/nanoserver",
        "linwin does not support privileged containers (Privileged)",
        hint="<any>",
    ),
    run_refused(
        "run --read-only microsoft/nanoserver",
        "linwin does not support read-only root file systems (ReadonlyRootfs)",
        hint="<any>",
    ),
    run_refused(
        "run --isolation process microsoft/nanoserver",
        "linwin does not support the isolation process (Isolation)",
        hint="<any>",
    ),
    Line("run --rm --isolation=hyperv microsoft/nanoserver", out="hello from nanoserver\n"),
    Line("run --rm=true --interactive=false --sig-proxy=false microsoft/nanoserver exit 4", code=4),
    Line("run --rm --label-file /dev/null microsoft/nanoserver", out="hello from nanoserver\n"),
    Line(
        "run --rm -it microsoft/nanoserver",
        code=1,
        err="the input device is not a TTY\n",
        own=Own(SHOWS_THE_WAY, err="linwin: the input device is not a TTY\n<any>\n"),
    ),
    Line(
        "exec -it live echo x",
        code=1,
        err="the input device is not a TTY\n",
        own=Own(SHOWS_THE_WAY, err="linwin: the input device is not a TTY\n<any>\n"),
    ),
    refused("create --stop-signal NOPE microsoft/nanoserver", "invalid signal: NOPE", hint="<any>"),
    refused("create --hostname 'a b' microsoft/nanoserver", "invalid hostname format: a b", hint="<any>"),
    Line("create microsoft/nanoserver", out="<full>\n"),
    Line("container create --name another -it microsoft/nanoserver cmd", out="<full>\n"),
    refused("create --name fresh microsoft/nanoserver", TAKEN),
    Line("exec live echo hi", out="hi\n"),
    Line("exec live complain", out="to stdout\n", err="to stderr\n", code=3),
    Line("exec -i live sort", stdin="b\na\n", out="a\nb\n"),
    Line("exec -e A=1 live set", out="A=1\nFROM_IMAGE=yes\n"),
    Line("exec -d live hang"),
    Line("container exec live exit 7", code=7),
    Line("exec live nothing.exe", out="<rest>", code=127),
    refused("exec box echo hi", "container <full> is not running", hint="<any>"),
    refused("exec nobody echo hi", "No such container: nobody"),
    Line(
        "attach --no-stdin box",
        code=1,
        err="You cannot attach to a stopped container, start it first\n",
        needs=28,
        own=Own(
            ONE_FORM,
            err="linwin: You cannot attach to a stopped container, start it first\nlinwin start -a box\n",
        ),
    ),
    refused("attach nobody", "No such container: nobody"),
    refused("cp box:C:/nothing -", "Could not find the file C:/nothing in container box"),
    refused("cp nobody:C:/x .", "No such container: nobody"),
    Line(
        "cp a b",
        code=1,
        err="must specify at least one container source\n",
        own=Own(ONE_FORM, err="linwin: must specify at least one container source\n"),
    ),
)
