"""A job of a CI system with real guests: what a Windows program made comes out."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.vm.conftest import GUEST_TIMEOUT, REPOSITORY, Linwin

BUILD = """
const fs = require('fs')
fs.mkdirSync('out')
fs.writeFileSync('out/built.js', fs.readFileSync('in.js', 'utf8').toUpperCase())
console.log('built on', process.platform)
process.exit(Number(process.argv[2]))
"""


def test_a_ci_job_builds_with_node(linwin: Linwin, program: Callable[[str], str], tmp_path: Path) -> None:
    (sources := tmp_path / "sources").mkdir()
    (sources / "in.js").write_text("print('x')")
    (sources / "build.js").write_text(BUILD)
    script = REPOSITORY / "examples/schedulers/ci-job"
    for code in (0, 7):
        artefacts = tmp_path / f"artefacts-{code}"
        words = [script, program("node"), sources, artefacts, "node", "build.js", str(code)]
        done = subprocess.run(words, env=linwin.environment, capture_output=True, timeout=2 * GUEST_TIMEOUT)
        assert (done.returncode, done.stdout.strip()) == (code, b"built on win32"), done.stderr
        assert (artefacts / "built.js").read_text() == "PRINT('X')"
