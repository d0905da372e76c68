"""The main job: real Windows programs in real guests, through every room."""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections.abc import Callable

from tests.vm.conftest import BIN, GUEST_TIMEOUT, Linwin

NANOSERVER = "microsoft/nanoserver"


def test_ver_is_the_guests_own(linwin: Linwin) -> None:
    done = linwin("run", "--rm", NANOSERVER, "cmd", "/c", "ver")
    assert re.search(rb"^Microsoft Windows (\[Version )?10\.0\.", done.stdout, re.MULTILINE)


def test_the_exit_code_is_the_programs(linwin: Linwin) -> None:
    linwin("run", "--rm", NANOSERVER, "cmd", "/c", "exit 42", code=42)


def test_stdin_reaches_the_program_and_ends(linwin: Linwin) -> None:
    assert linwin.text("run", "-i", "--rm", NANOSERVER, "sort", input=b"b\na\n") == "a\nb\n"


def test_the_base_image_answers_to_its_registry_name_too(linwin: Linwin) -> None:
    name = "mcr.microsoft.com/windows/nanoserver:ltsc2022"
    assert linwin.text("run", "--rm", name, "cmd", "/c", "echo", "hi") == "hi\n"


def test_stdout_and_stderr_arrive_separately_and_whole(linwin: Linwin, program: Callable[[str], str]) -> None:
    size, noise = 50 << 20, 1 << 20
    script = f"""
        const fs = require('fs');
        const block = Buffer.alloc(1 << 20);
        for (let i = 0; i < block.length; i++) block[i] = (i * 31 + (i >> 8)) & 255;
        const put = (fd, data) => {{ for (let n = 0; n < data.length;) n += fs.writeSync(fd, data, n); }};
        for (let n = 0; n < {size}; n += block.length) {{
            put(1, block);
            if (n < {noise}) put(2, Buffer.alloc(block.length, 'e'));
        }}
    """
    done = linwin("run", "--rm", program("node"), "node", "-e", script)
    block = bytes((i * 31 + (i >> 8)) & 255 for i in range(1 << 20))
    assert len(done.stdout) == size
    assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(block * 50).digest()
    assert done.stderr.count(b"e") >= noise
    assert b"e" * noise in done.stderr


def test_the_environment_is_the_registrys_the_images_and_the_users(
    linwin: Linwin, program: Callable[[str], str]
) -> None:
    words = ["run", "--rm", "-e", "GREETING=hello there", "-w", "C:\\Windows", program("ninja")]
    printed = linwin.text(
        *words, "cmd", "/c", "echo %GREETING% & cd & echo %PATH% & echo %SystemRoot% & where ninja"
    )
    greeting, folder, path, system_root, where = (line.strip() for line in printed.strip().splitlines())
    assert greeting == "hello there"
    assert folder.lower() == "c:\\windows"
    assert path == "C:\\Windows\\system32;C:\\Windows;C:\\ninja;C:\\ninja\\bin"
    assert system_root.lower() == "c:\\windows"
    assert where.lower() == "c:\\ninja\\ninja.exe"


def test_without_an_images_own_the_path_is_the_registrys(linwin: Linwin) -> None:
    printed = linwin.text("run", "--rm", NANOSERVER, "cmd", "/c", "echo %PATH%").strip().lower()
    assert "c:\\windows\\system32" in printed.split(";")


def test_an_exit_code_beyond_a_byte_is_not_lost(linwin: Linwin) -> None:
    name = "wide-exit"
    # A Linux process can only end with a byte: the command must not look like success …
    done = subprocess.run(
        ["linwin", "run", "--name", name, NANOSERVER, "cmd", "/c", "exit 256"],
        env=linwin.environment, capture_output=True, timeout=GUEST_TIMEOUT,
    )  # fmt: skip
    assert done.returncode != 0
    # … and inspect tells all of it.
    assert linwin.inspect(name)["State"]["ExitCode"] == 256
    linwin("rm", name)


def test_a_missing_program_is_127_with_dockers_words(linwin: Linwin) -> None:
    done = linwin("run", "--rm", NANOSERVER, "no-such-program", code=127)
    assert b'exec: "no-such-program": executable file not found in %PATH%' in done.stderr
    assert b"The system cannot find the file specified" in done.stderr


def test_what_wine_only_pretends_is_refused_with_a_hint(linwin: Linwin) -> None:
    done = linwin("run", "--rm", NANOSERVER, "powershell", "-Command", "exit 0", code=127)
    assert b"PowerShell is not part of the wine template" in done.stderr


def test_node_runs_with_arguments_stdin_and_an_exit_code(
    linwin: Linwin, program: Callable[[str], str]
) -> None:
    script = "process.stdin.on('data', d => process.stdout.write(String(d).toUpperCase()))"
    script += ".on('end', () => { console.error(process.platform, process.argv[1]); process.exitCode = 7 })"
    done = linwin("run", "-i", "--rm", program("node"), "node", "-e", script, "a b", input=b"shout\n", code=7)
    assert done.stdout == b"SHOUT\n"
    assert b"win32 a b" in done.stderr


def test_esbuild_transforms_what_it_reads(linwin: Linwin, program: Callable[[str], str]) -> None:
    source = b"const answer: number = 6 * 7; console.log(answer)\n"
    words = ["run", "-i", "--rm", program("esbuild"), "esbuild", "--loader=ts"]
    done = linwin(*words, "--minify", input=source)
    assert done.stdout == b"const answer=42;console.log(42);\n"
    failed = linwin(
        "run", "-i", "--rm", program("esbuild"), "esbuild", "--loader=ts", input=b"let = \n", code=1
    )
    assert b"1 error" in failed.stderr


def test_ninja_reads_its_file_and_fails_as_it_should(linwin: Linwin, program: Callable[[str], str]) -> None:
    image = program("ninja")
    done = linwin("run", "--rm", image, "ninja", "-C", "C:\\ninja", code=1)
    assert b"loading 'build.ninja'" in done.stdout + done.stderr


def test_cmake_runs_a_script_from_its_image(linwin: Linwin, program: Callable[[str], str]) -> None:
    image = program("cmake")
    printed = linwin.text("run", "--rm", image, "cmake", "-E", "capabilities")
    assert '"generators"' in printed
    linwin("run", "--rm", image, "cmake", "-E", "cat", "C:\\no\\such", code=1)


def test_the_template_is_small(linwin: Linwin) -> None:
    linwin("run", "--rm", "--memory", "384m", NANOSERVER, "cmd", "/c", "exit 5", code=5)
    parts = [path for path in (linwin.root / "templates").rglob("*") if path.is_file()]
    assert 0 < sum(path.stat().st_size for path in parts) < 400 << 20


def test_the_stock_docker_client(linwin: Linwin, docker_client: str) -> None:
    words = [
        docker_client,
        "-H",
        f"unix://{linwin.socket}",
        "run",
        "--rm",
        NANOSERVER,
        "cmd",
        "/c",
        "echo",
        "hi",
    ]
    done = subprocess.run(words, capture_output=True, timeout=GUEST_TIMEOUT)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"hi\r\n", b"")


def test_the_first_use_of_wine_is_said_aloud(linwin: Linwin) -> None:
    environment = {**linwin.environment, "XDG_STATE_HOME": str(linwin.root / "state-home")}
    words = [str(BIN / "linwin"), "run", "--rm", NANOSERVER, "cmd", "/c", "exit 0"]
    first = subprocess.run(words, env=environment, capture_output=True, timeout=GUEST_TIMEOUT)
    assert b'template "wine"' in first.stderr
    assert b"Wine" in first.stderr
    second = subprocess.run(words, env=environment, capture_output=True, timeout=GUEST_TIMEOUT)
    assert second.stderr == b""
