"""The logger of what happens to tasks: ``catzilla.tasks``."""

from __future__ import annotations

import logging

logger = logging.getLogger("catzilla.tasks")
