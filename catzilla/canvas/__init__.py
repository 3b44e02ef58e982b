"""Workflows: ``chain``, ``group`` and ``chord`` of signatures (docs/canvas.md).

result = (fetch.s(7) | group(score.s(), label.s()) | merge.s()).apply_async()
result.wait(10)
"""

from __future__ import annotations

from .nodes import chain, chord, chunks, group
from .result import WorkflowResult
from .signature import Signature, TaskSignature, signature

__all__ = ["Signature", "TaskSignature", "WorkflowResult", "chain", "chord", "chunks", "group", "signature"]
