"""What docker's command line prints, as data: one entry a command, true of docker and of linwin.

The entries are in the modules beside this one, by noun; how they are read is
:mod:`tests.scenario.docker_commands.line`. They say what docker prints against its own
daemon, from its documentation and its sources, and not what ours happened to answer.
"""

from __future__ import annotations

from collections.abc import Sequence

from tests.scenario.docker_commands.containers import CONTAINERS
from tests.scenario.docker_commands.formats import FORMATS
from tests.scenario.docker_commands.images import IMAGES
from tests.scenario.docker_commands.line import Line
from tests.scenario.docker_commands.mistakes import MISTAKES
from tests.scenario.docker_commands.networks import NETWORKS
from tests.scenario.docker_commands.runs import RUNS
from tests.scenario.docker_commands.systems import SYSTEM

LINES: Sequence[Line] = (*CONTAINERS, *FORMATS, *IMAGES, *MISTAKES, *NETWORKS, *RUNS, *SYSTEM)
