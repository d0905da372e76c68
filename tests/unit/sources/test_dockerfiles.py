"""Dockerfiles as the model has them."""

from __future__ import annotations

import pytest

from linwin.model.build import Dockerfile, Heredoc, Instruction, Stage
from linwin.sources.parse import parse_changes, parse_dockerfile


def parsed(text: str) -> Dockerfile:
    return parse_dockerfile("Dockerfile", text.encode())


def only(text: str) -> Instruction:
    """The one instruction behind a FROM."""
    (stage,) = parsed(f"FROM base\n{text}").stages
    (instruction,) = stage.instructions
    return instruction


def test_stages_have_what_follows_them() -> None:
    found = parsed(
        "# syntax=docker/dockerfile:1\n"
        "ARG VERSION=1809\n"
        "FROM --platform=windows/amd64 mcr/nanoserver:$VERSION AS Build\n"
        "RUN dir\n"
        "\n"
        "from build\n"
        "COPY --from=build a b c:/\n"
    )
    assert found == Dockerfile(
        "\\",
        (Instruction("ARG", ("VERSION=1809",), "ARG VERSION=1809", 2),),
        (
            Stage(
                "mcr/nanoserver:$VERSION",
                "windows/amd64",
                "build",
                "FROM --platform=windows/amd64 mcr/nanoserver:$VERSION AS Build",
                3,
                (Instruction("RUN", ("dir",), "RUN dir", 4),),
            ),
            Stage(
                "build",
                "",
                "",
                "from build",
                6,
                (
                    Instruction(
                        "COPY", ("a", "b", "c:/"), "COPY --from=build a b c:/", 7, (("from", "build"),)
                    ),
                ),
            ),
        ),
    )


@pytest.mark.parametrize("directive", ["# escape=`", "#escape = `", "# ESCAPE=`\r"])
def test_the_escape_can_be_a_backtick(directive: str) -> None:
    found = parsed(f"{directive}\nFROM base\nRUN dir `\n  c:\\\nRUN ver\n")
    assert found.escape == "`"
    assert [one.words for one in found.stages[0].instructions] == [("dir   c:\\",), ("ver",)]


@pytest.mark.parametrize(
    "beginning", ["\n# escape=`\n", "# a comment\n# escape=`\n", "# unknown=1\n# escape=`\n"]
)
def test_directives_come_before_all_else(beginning: str) -> None:
    assert parsed(f"{beginning}FROM base\n").escape == "\\"


@pytest.mark.parametrize("beginning", ["# check=skip=all\n# escape=`\n", "# syntax=a/b:1\n# escape=`\n"])
def test_other_directives_do_nothing(beginning: str) -> None:
    assert parsed(f"{beginning}FROM base\nRUN a `\nb").stages[0].instructions[0].words == ("a b",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("RUN dir", ("dir",)),
        ("run   mkdir   \"c:/foo\"  'x'  ", ("mkdir   \"c:/foo\"  'x'  ",)),
        ("RUN echo a \\\n  # a comment\n\n  && echo b", ("echo a   && echo b",)),
        ("RUN echo %PATH% $env:x ${y}", ("echo %PATH% $env:x ${y}",)),
        ('CMD ["a", "b c"', ('["a", "b c"',)),
        ('ENTRYPOINT ["a"] b ', ('["a"] b ',)),
        ('HEALTHCHECK --interval=5s cmd  curl  "x" ', ("CMD", 'curl  "x" ')),
        ('HEALTHCHECK CMD ["a"] b', ("CMD", '["a"] b')),
        ("HEALTHCHECK none", ("NONE",)),
        ("COPY [a b] c", ("[a", "b]", "c")),
        ('COPY ["a", "b"] c', ('["a",', '"b"]', "c")),
        ("ENV a=b c=\"d e\" f='g h' i=j\\ k", ("a", "b", "c", '"d e"', "f", "'g h'", "i", "j\\ k")),
        ("ENV a  b   c", ("a", "b   c")),
        ("LABEL a.b=c", ("a.b", "c")),
        ("ARG a b=c", ("a", "b=c")),
        ("EXPOSE 80 443/tcp", ("80", "443/tcp")),
        ("VOLUME c:\\data c:\\logs", ("c:\\data", "c:\\logs")),
        ("WORKDIR c:\\Program Files\\app ", ("c:\\Program Files\\app",)),
        ("USER ContainerAdministrator", ("ContainerAdministrator",)),
        ("STOPSIGNAL CTRL_C", ("CTRL_C",)),
        ("MAINTAINER A. Person <a@person>", ("A. Person <a@person>",)),
        ("CMD", ()),
    ],
)
def test_words_are_those_of_dockers_parser(text: str, words: tuple[str, ...]) -> None:
    found = only(text)
    assert (found.words, found.is_json) == (words, False)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('RUN ["cmd", "/c", "echo a"]', ("cmd", "/c", "echo a")),
        ('SHELL ["powershell", "-Command"]', ("powershell", "-Command")),
        ('COPY --chown=x ["a b", "c:\\\\d\\\\"]', ("a b", "c:\\d\\")),
        ('HEALTHCHECK cmd ["a", "b"]', ("CMD", "a", "b")),
        ('VOLUME ["c:\\\\data"]', ("c:\\data",)),
        ("ENTRYPOINT []", ()),
    ],
)
def test_arrays_are_json(text: str, words: tuple[str, ...]) -> None:
    found = only(text)
    assert (found.words, found.is_json) == (words, True)


def test_flags_have_no_dashes() -> None:
    found = only("ADD --chown=a:b --link --keep-git-dir=true --checksum=sha256:12 http://x/y c:/y")
    assert found.flags == (
        ("chown", "a:b"),
        ("link", ""),
        ("keep-git-dir", "true"),
        ("checksum", "sha256:12"),
    )
    assert found.words == ("http://x/y", "c:/y")


@pytest.mark.parametrize("flag", ["--network=default", "--security=sandbox"])
def test_a_flag_of_buildkits_that_asks_for_what_happens_anyway_is_none(flag: str) -> None:
    assert only(f"RUN {flag} dir").words == ("dir",)


def test_heredocs_come_with_what_their_names_say() -> None:
    found = only('COPY <<one.txt <<-"two.txt" c:/\nhello $x\none.txt\n\tdear $x\n\ttwo.txt\n')
    assert found.words == ("<<one.txt", '<<-"two.txt"', "c:/")
    assert found.heredocs == (
        Heredoc("one.txt", "hello $x\n", expand=True),
        Heredoc("two.txt", "dear $x\n", expand=False),
    )


def test_a_step_can_be_a_heredoc() -> None:
    found = only("RUN <<EOF\necho a\n# no comment\nEOF\n")
    assert found.words == ("<<EOF",)
    assert found.heredocs == (Heredoc("EOF", "echo a\n# no comment\n", expand=True),)


def test_an_onbuild_has_all_of_its_trigger() -> None:
    found = only("onbuild copy --from=x a \\\n b")
    trigger = Instruction("COPY", ("a", "b"), "copy --from=x a  b", 2, (("from", "x"),))
    assert found == Instruction("ONBUILD", (), "onbuild copy --from=x a  b", 2, trigger=trigger)


def test_an_onbuild_may_hold_an_array_and_a_heredoc() -> None:
    assert only('ONBUILD CMD ["a"]').trigger == Instruction("CMD", ("a",), 'CMD ["a"]', 2, is_json=True)
    found = only("ONBUILD COPY <<a c:/\nhi\na\n")
    assert found.original == "ONBUILD COPY <<a c:/\nhi\na\n"
    assert found.trigger is not None
    assert found.trigger.heredocs == (Heredoc("a", "hi\n", expand=True),)
    # So it is read back when an image that has it is built on.
    assert parse_changes([found.original])[0].trigger == Instruction(
        "COPY", ("<<a", "c:/"), "COPY <<a c:/\nhi\na\n", 1, heredocs=found.trigger.heredocs
    )


def test_an_onbuild_may_go_on_in_another_line() -> None:
    found = only("ONBUILD \\\n # why\n  RUN a \\\n  b\n").trigger
    assert found is not None
    assert (found.name, found.words, found.line) == ("RUN", ("a   b",), 4)


def test_windows_line_ends_and_a_byte_order_mark_are_no_part_of_it() -> None:
    found = parse_dockerfile("Dockerfile", "\ufeffFROM base\r\nRUN a \\\r\n  b\r\n".encode())
    assert found.stages[0].instructions == (Instruction("RUN", ("a   b",), "RUN a   b", 2),)


def test_a_heredoc_keeps_its_line_ends() -> None:
    assert only("COPY <<a c:/\r\nhi\r\na\r\n").heredocs == (Heredoc("a", "hi\r\n", expand=True),)


def test_changes_are_instructions() -> None:
    assert parse_changes(["env a=b", 'CMD ["c"]', "ONBUILD RUN dir"]) == [
        Instruction("ENV", ("a", "b"), "env a=b", 1),
        Instruction("CMD", ("c",), 'CMD ["c"]', 1, is_json=True),
        Instruction("ONBUILD", (), "ONBUILD RUN dir", 1, trigger=Instruction("RUN", ("dir",), "RUN dir", 1)),
    ]
