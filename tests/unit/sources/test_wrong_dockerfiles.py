"""What is wrong with a Dockerfile is said with its line, its column and docker's words."""

from __future__ import annotations

import time

import pytest

from linwin.errors import InvalidRequest, LinwinError, Unsupported
from linwin.sources.parse import parse_changes, parse_dockerfile

NO_MOUNTS = (
    "Bring files in with COPY and values with ARG; what a step leaves behind can be deleted in the same step."
)
BEGIN = "Begin the Dockerfile with FROM; nothing but ARG can stand before it."
DURATION = "Write numbers and units, such as 500ms or 1m30s."
STRINGS_ONLY = "when using JSON array syntax, arrays must be comprised of strings only"
TWO = "requires at least two arguments, but only one was provided. Destination could not be determined"


def refusal_of(data: bytes | str) -> LinwinError:
    with pytest.raises((InvalidRequest, Unsupported)) as refusal:
        parse_dockerfile("Dockerfile", data.encode() if isinstance(data, str) else data)
    return refusal.value


WRONG = [
    # What stands behind "FROM base", and where it is wrong how. Lines count from the FROM.
    ("RUNN dir", "2:1: unknown instruction: RUNN (did you mean RUN?)"),
    ("XYZZY", "2:1: unknown instruction: XYZZY"),
    ("RUN\u00a0dir", "2:1: unknown instruction: RUN\\xa0dir (did you mean RUN?)"),
    (f"COPY --{'x' * 600} a b", f"2:6: unknown flag: --{'x' * 484}…"),
    ("COPY --\x1b[2J a b", "2:6: unknown flag: --\\x1b[2J"),
    ("\n\n  # a\n  FORM x", "5:3: unknown instruction: FORM (did you mean FROM?)"),
    ("FROM", "2:1: FROM requires either one or three arguments"),
    ("FROM a b", "2:8: FROM requires either one or three arguments"),
    ("FROM a IS b", "2:8: FROM requires either one or three arguments"),
    (
        "FROM a \\\n  AS 1st",
        '3:6: invalid name for build stage: "1st", name can\'t start with a number or contain symbols',
    ),
    ("FROM a AS b\nFROM c AS B", "3:11: b stage name already used"),
    ("FROM --plattform=x a", "2:6: unknown flag: --plattform (did you mean --platform?)"),
    ("COPY --frm=x a b", "2:6: unknown flag: --frm (did you mean --from?)"),
    ("COPY --from=x --from=y a b", "2:6: duplicate flag specified: from"),
    ("COPY --from a b", "2:6: missing a value on flag: from"),
    ("COPY --link=maybe a b", "2:6: expecting boolean value for flag link, not: maybe"),
    ("WORKDIR --x c:\\", "2:9: unknown flag: --x"),
    ("COPY a", f"2:1: COPY {TWO}"),
    ("COPY", f"2:1: COPY {TWO}"),
    ("ADD []", f"2:1: ADD {TWO}"),
    ("COPY a <<b\nx\nb", "2:8: COPY cannot accept a heredoc as a destination"),
    ("COPY <<b c:/\nx", "2:1: unterminated heredoc"),
    ("RUN", "2:1: RUN requires at least one argument"),
    ("ENV", "2:1: ENV requires at least one argument"),
    ("ENV a", "2:1: ENV must have two arguments"),
    ("ENV =b", "2:1: ENV names can not be blank"),
    ("ENV a=b \\\n  c", '3:3: Syntax error - can\'t find = in "c". Must be of the form: name=value'),
    ("LABEL a", "2:1: LABEL must have two arguments"),
    ("ARG", "2:1: ARG requires at least one argument"),
    ("ARG a =b", "2:7: ARG names can not be blank"),
    ("EXPOSE", "2:1: EXPOSE requires at least one argument"),
    ("VOLUME", "2:1: VOLUME requires at least one argument"),
    ('VOLUME [" "]', "2:1: VOLUME specified can not be an empty string"),
    ("USER", "2:1: USER requires exactly one argument"),
    ("WORKDIR", "2:1: WORKDIR requires exactly one argument"),
    ("STOPSIGNAL", "2:1: STOPSIGNAL requires exactly one argument"),
    ("MAINTAINER", "2:1: MAINTAINER requires exactly one argument"),
    ("SHELL []", "2:1: SHELL requires at least one argument"),
    ('CMD ["a", 1]', f"2:1: {STRINGS_ONLY}"),
    ('ENTRYPOINT ["a", ["b"]]', f"2:1: {STRINGS_ONLY}"),
    ("ONBUILD", "2:1: ONBUILD requires at least one argument"),
    ("ONBUILD ONBUILD RUN dir", "2:9: Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"),
    ("ONBUILD from a", "2:9: FROM isn't allowed as an ONBUILD trigger"),
    ("ONBUILD MAINTAINER a", "2:9: MAINTAINER isn't allowed as an ONBUILD trigger"),
    ("ONBUILD RUNN a", "2:9: unknown instruction: RUNN (did you mean RUN?)"),
    ("ONBUILD \\\n # b\n COPY --frm=x a b", "4:7: unknown flag: --frm (did you mean --from?)"),
    ("ONBUILD ENV a", "2:1: ENV must have two arguments"),
    ("HEALTHCHECK", "2:1: HEALTHCHECK requires at least one argument"),
    ("HEALTHCHECK CMD", "2:1: Missing command after HEALTHCHECK CMD"),
    ("HEALTHCHECK NONE a", "2:18: HEALTHCHECK NONE takes no arguments"),
    ("HEALTHCHECK --retries=1 NONE", "2:13: HEALTHCHECK NONE takes no flags"),
    ("HEALTHCHECK curl x", '2:13: Unknown type "CURL" in HEALTHCHECK (try CMD)'),
    ("HEALTHCHECK --retries=x CMD a", '2:13: "x" is not a number of --retries'),
    ("HEALTHCHECK --retries=-1 CMD a", "2:13: --retries cannot be negative (-1)"),
    ("HEALTHCHECK --timeout=999us CMD a", '2:13: Interval "timeout" cannot be less than 1ms'),
    ("\\", "2:1: there is nothing to continue"),
]


@pytest.mark.parametrize(("text", "sentence"), WRONG)
def test_what_is_wrong_is_said_with_its_place(text: str, sentence: str) -> None:
    refusal = refusal_of(f"FROM base\n{text}\n")
    assert isinstance(refusal, InvalidRequest)
    assert refusal.message == f"Dockerfile:{sentence}"


@pytest.mark.parametrize(
    ("text", "sentence", "hint"),
    [
        ("RUN dir", "1:1: no build stage in current context", BEGIN),
        ("ARG a=1\n\n  COPY a b", "3:3: no build stage in current context", BEGIN),
        ("ARG a=1", "1:1: dockerfile contains no stages to build", "Begin it with FROM."),
        ("", "1:1: file with no instructions", None),
        ("# a comment\n", "1:1: file with no instructions", None),
        ("# escape=`\n# escape=`\nFROM a", "2:3: only one escape parser directive can be used", None),
        ("# escape=x\nFROM a", "1:10: invalid escape token 'x' does not match ` or \\", None),
        (
            "FROM a\nSHELL cmd",
            "2:7: SHELL requires the arguments to be in JSON form",
            'Write SHELL ["cmd", "/S", "/C"].',
        ),
        ("FROM a\nHEALTHCHECK --interval=5 CMD a", '2:13: invalid duration "5"', DURATION),
        ("FROM a\nHEALTHCHECK --interval=-5s CMD a", '2:13: invalid duration "-5s"', DURATION),
        (
            f"FROM a\nHEALTHCHECK --timeout={'9' * 40}h CMD a",
            f'2:13: invalid duration "{"9" * 40}h"',
            "Write a shorter one.",
        ),
        (
            f"FROM a\nRUN {'x' * 65_532}",
            "2:1: the line is longer than 65535 bytes",
            "Continue it on further lines.",
        ),
        (b"\xff\xfeF\0R\0", "1:1: it is UTF-16", "Save it as UTF-8."),
        (b"\xfe\xff\0F\0R", "1:1: it is UTF-16", "Save it as UTF-8."),
        (b"FROM a\nRUN \xe9", "2:5: it is not UTF-8", "Save it as UTF-8."),
        (b"FROM a\n\nRUN a\0b", "3:6: it has a null character", "Save it as UTF-8."),
    ],
)
def test_what_is_wrong_with_all_of_it(text: str | bytes, sentence: str, hint: str | None) -> None:
    refusal = refusal_of(text)
    assert (refusal.message, refusal.hint) == (f"Dockerfile:{sentence}", hint)


@pytest.mark.parametrize(
    ("text", "sentence", "hint"),
    [
        ("RUN --mount=type=cache,target=c:/x dir", "2:5: RUN --mount is BuildKit's", NO_MOUNTS),
        (
            "RUN --network=none dir",
            "2:5: RUN --network is BuildKit's",
            "Choose the network of all steps with: linwin build --network",
        ),
        (
            "RUN --security=insecure dir",
            "2:5: RUN --security is BuildKit's",
            "Remove the flag: a step runs in a virtual machine of its own.",
        ),
        (
            "RUN --device=a dir",
            "2:5: RUN --device is BuildKit's",
            "Remove the flag: a guest has no devices of the host.",
        ),
        (
            "COPY --parents a b/",
            "2:6: COPY --parents is BuildKit's",
            "Name the target of each folder in a COPY of its own.",
        ),
        (
            "ONBUILD ADD --exclude=a b c/",
            "2:13: ADD --exclude is BuildKit's",
            "Leave files out with .dockerignore, or copy the folders one by one.",
        ),
        (
            "ADD --unpack=true a b",
            "2:5: ADD --unpack is BuildKit's",
            "Remove the flag: a local archive is unpacked, and what is fetched is not.",
        ),
    ],
)
def test_what_only_buildkit_can_is_refused_with_advice(text: str, sentence: str, hint: str) -> None:
    refusal = refusal_of(f"FROM base\n{text}\n")
    assert isinstance(refusal, Unsupported)
    assert refusal.message == f"Dockerfile:{sentence}, and linwin does without"
    assert refusal.hint == hint


def test_a_dockerfile_has_a_size() -> None:
    refusal = refusal_of(b"#" * ((1 << 20) + 1))
    assert refusal.message == "Dockerfile is larger than 1 MiB"


def test_where_a_dockerfile_lies_is_part_of_its_name() -> None:
    with pytest.raises(InvalidRequest) as refusal:
        parse_dockerfile("windows/app.Dockerfile", b"FROM a b")
    assert refusal.value.message == (
        "windows/app.Dockerfile:1:8: FROM requires either one or three arguments"
    )


def test_the_last_of_very_many_lines_is_found_soon() -> None:
    began = time.monotonic()
    refusal = refusal_of("FROM a\n" + "RUN a\n" * 50_000 + "ENV a\n")
    assert refusal.message == "Dockerfile:50002:1: ENV must have two arguments"
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    "text",
    [
        "RUN <<E\n" + "\n" * 900_000 + "E\n",
        "COPY <<E x\n" + "x\n" * 400_000,
        "RUN a \\\n" + "b \\\n" * 200_000,
    ],
    ids=["heredoc", "heredoc without an end", "continued"],
)
def test_what_would_keep_dockers_parser_busy_is_refused(text: str) -> None:
    """It takes minutes for each of these."""
    began = time.process_time()
    refusal = refusal_of(f"FROM a\n{text}")
    assert refusal.message == "Dockerfile:2:1: the instruction has too many lines"
    assert refusal.hint == "COPY a file that has them, and run that."
    assert time.process_time() - began < 10


def test_a_long_heredoc_is_none_of_these() -> None:
    began = time.process_time()
    assert parse_dockerfile("Dockerfile", ("FROM a\nRUN <<E\n" + f"{'x' * 99}\n" * 3000 + "E\n").encode())
    assert time.process_time() - began < 10


@pytest.mark.parametrize("line", ["RUN dir", "from x", "FOO", "ADD a b", "ARG a", "MAINTAINER a"])
def test_a_change_is_not_just_any_instruction(line: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        parse_changes([line])
    assert refusal.value.message == f"{line.split()[0]} is not a valid change command"
    assert refusal.value.hint == (
        "Valid are CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, SHELL, STOPSIGNAL, "
        "USER, VOLUME, WORKDIR."
    )


def test_a_wrong_change_is_refused_as_in_a_dockerfile() -> None:
    with pytest.raises(InvalidRequest) as refusal:
        parse_changes(["USER a", "ENV a"])
    assert refusal.value.message == "--change:1:1: ENV must have two arguments"
