"""Command lines that cannot be read: the exit code says whose fault it is, before anything was asked."""

from __future__ import annotations

from tests.scenario.docker_commands.differences import KINDS, NO_USAGE, RUN_IS_125, SHOWS_THE_WAY
from tests.scenario.docker_commands.line import Line, Own, mistake

RUN = "docker run [OPTIONS] IMAGE [COMMAND] [ARG...]"


def run_conflict(words: str, sentence: str, code: int = 125) -> Line:
    """Options of ``run`` that contradict each other, found by the client."""
    return Line(
        words,
        code=code,
        needs=28,
        err=f"docker: {sentence}\n",
        own=Own(NO_USAGE, err=f"linwin: {sentence}<rest>"),
    )


MISTAKES = (
    mistake("ps extra", "docker: 'docker ps' accepts no arguments", "docker ps [OPTIONS]"),
    mistake("logs", "docker: 'docker logs' requires 1 argument", "docker logs [OPTIONS] CONTAINER"),
    mistake("rename box", "docker: 'docker rename' requires 2 arguments", "docker rename CONTAINER NEW_NAME"),
    mistake(
        "rm",
        "docker: 'docker rm' requires at least 1 argument",
        "docker rm [OPTIONS] CONTAINER [CONTAINER...]",
    ),
    mistake(
        "images a b",
        "docker: 'docker images' requires at most 1 argument",
        "docker images [OPTIONS] [REPOSITORY[:TAG]]",
    ),
    mistake(
        "exec live",
        "docker: 'docker exec' requires at least 2 arguments",
        "docker exec [OPTIONS] CONTAINER COMMAND [ARG...]",
    ),
    mistake("run --nope", "unknown flag: --nope", RUN, code=125),
    mistake("ps --nope", "unknown flag: --nope", "docker ps [OPTIONS]", code=125),
    mistake("--nope", "unknown flag: --nope", "docker [OPTIONS] COMMAND [ARG...]", code=125),
    Line(
        "nope",
        code=1,
        needs=28,
        err="docker: unknown command: docker nope\n\nRun 'docker --help' for more information\n",
        own=Own(
            NO_USAGE,
            err="linwin: unknown command: linwin nope\nRun 'linwin --help' for more information.\n",
        ),
    ),
    run_conflict(
        "run --pull sometimes microsoft/nanoserver",
        'invalid pull option: \'sometimes\': must be one of "always", "missing" or "never"',
    ),
    run_conflict(
        "run --rm --restart always microsoft/nanoserver",
        "conflicting options: cannot specify both --restart and --rm",
    ),
    Line(
        "run -d -a stdout microsoft/nanoserver",
        code=1,
        needs=28,
        err="conflicting options: cannot specify both --attach and --detach\n",
        own=Own(
            RUN_IS_125,
            code=125,
            err="linwin: conflicting options: cannot specify both --attach and --detach\n<rest>",
        ),
    ),
    Line(
        "run -m 1x microsoft/nanoserver",
        code=125,
        needs=28,
        err='invalid argument "1x" for "-m, --memory" flag: invalid suffix: \'x\'\n<rest>',
        own=Own(SHOWS_THE_WAY, err="linwin: invalid argument for -m: <any>\n<any>\n"),
    ),
    Line(
        "ps --filter nope",
        code=125,
        needs=28,
        err='invalid argument "nope" for "-f, --filter" flag: bad format of filter '
        "(expected name=value)\n<rest>",
        own=Own(SHOWS_THE_WAY, err="linwin: invalid argument for -f: <any>\n<any>\n"),
    ),
    Line(
        "inspect --type nope box",
        code=1,
        needs=28,
        err='unknown type: "nope": must be one of <any>\n',
        own=Own(KINDS, code=125, err="linwin: invalid argument for --type: <any>\n<any>\n"),
    ),
)
