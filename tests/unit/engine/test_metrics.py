"""What is counted of transfers, and that labels stay few."""

from __future__ import annotations

from linwin.engine.metrics import Metrics
from linwin.errors import Conflict, OutOfMemory
from linwin.model.progress import Progress


def value(metrics: Metrics, name: str, **labels: str) -> float:
    return metrics._registry.get_sample_value(name, labels) or 0


def test_bytes_are_counted_by_layer_and_progress_goes_on() -> None:
    metrics, told = Metrics(), list[Progress]()
    report = metrics.counting(told.append)
    steps = [
        Progress("Pulling fs layer", "a"),
        Progress("Downloading", "a", 10, 100),
        Progress("Downloading", "b", 5, 50),
        Progress("Downloading", "a", 90, 100),
        Progress("Verifying Checksum", "a"),
        Progress("Download complete", "a"),
        Progress("Already exists", "c"),
    ]
    for step in steps:
        report(step)
    assert told == steps
    assert value(metrics, "linwin_image_bytes_total", direction="pulled") == 105
    report(Progress("Pushing", "a", 30, 40))
    report(Progress("Pushed", "a"))
    assert value(metrics, "linwin_image_bytes_total", direction="pushed") == 40
    assert value(metrics, "linwin_image_bytes_total", direction="pulled") == 105


def test_a_transfer_that_begins_again_moves_its_bytes_again() -> None:
    metrics = Metrics()
    report = metrics.counting(lambda _: None)
    for current in (60, 20, 100):
        report(Progress("Downloading", "a", current, 100))
    report(Progress("Download complete", "a"))
    assert value(metrics, "linwin_image_bytes_total", direction="pulled") == 160


def test_work_of_no_known_size() -> None:
    metrics = Metrics()
    report = metrics.counting(lambda _: None)
    report(Progress("Downloading", "a"))
    report(Progress("Downloading", "a", 7))
    report(Progress("Download complete", "a"))
    assert value(metrics, "linwin_image_bytes_total", direction="pulled") == 7


def test_kinds_of_errors() -> None:
    metrics = Metrics()
    for error in (Conflict("x"), OutOfMemory("y"), ValueError("z")):
        metrics.failed("restart", error)
    for kind in ("Conflict", "OutOfMemory", "Internal"):
        assert value(metrics, "linwin_errors_total", operation="restart", kind=kind) == 1


def test_when_counters_were_made_is_not_told() -> None:
    metrics = Metrics()
    metrics.failed("restart", Conflict("x"))
    names = [sample.name for family in metrics._registry.collect() for sample in family.samples]
    assert "linwin_errors_total" in names
    assert [name for name in names if name.endswith("_created")] == []
