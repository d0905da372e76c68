"""A check of images: what a container changed becomes one, and runs."""

from __future__ import annotations

import dataclasses

from linwin.engine.verify.bench import Bench
from linwin.engine.verify.box import Box
from linwin.engine.verify.boxes import BOXES
from linwin.engine.verify.check import expect
from linwin.model.build import CommitRequest

FILE, TEXT = "C:\\verify-image.txt", "of the image"


async def commits(bench: Bench, box: Box) -> str:
    written = await box.cmd(f"echo {TEXT}> {FILE}")
    expect(0, written.code, "the exit code of a program that writes a file")
    image = await bench.engine.commit(box.id, CommitRequest(author=bench.place.network))
    spec = dataclasses.replace(BOXES["box"](bench.place, "committed"), image=image.id)
    other = await bench.start("committed", spec)
    expect(TEXT, (await other.cmd(f"type {FILE}")).text, "the file in a container of the image")
    await bench.discard("committed")
    return f"an image of {image.size} bytes above the template was made and run"
