"""What a check says."""

from __future__ import annotations

from linwin.engine.check import _templates
from linwin.model.template import Unusable


def test_a_remedy_keeps_the_name_of_its_template() -> None:
    (finding,) = _templates([Unusable("Win11-LTSC", "it lacks a part")])
    assert finding.remedy == "Build it again: linwin template build Win11-LTSC"
