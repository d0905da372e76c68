"""Which log a container gets."""

from __future__ import annotations

from linwin.errors import InvalidRequest
from linwin.model import log_config
from linwin.model.log_config import STANDARD, LogConfig


def resolve(asked: LogConfig, default: LogConfig = STANDARD) -> LogConfig:
    """See :func:`linwin.model.log_config.resolve`. Raises InvalidRequest in docker's words."""
    try:
        return log_config.resolve(asked, default)
    except log_config.BadOption as bad:
        raise InvalidRequest(bad.message, hint=bad.hint) from bad
