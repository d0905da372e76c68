"""build: from a Dockerfile and its context to an image."""

from linwin.engine.build.build import build
from linwin.engine.build.listener import Listener

__all__ = ["Listener", "build"]
