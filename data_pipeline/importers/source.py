"""What every importer returns."""

import dataclasses
from collections.abc import Iterator
from typing import Any

from data_pipeline.log.log_folder import RawBatch, Rejected


@dataclasses.dataclass(frozen=True)
class Source:
    """A source of raw rows.

    Attributes:
        batches: Raw rows, documents first, and what could not be turned into any.
        description: For log.json: name, files (names only), and what was read; complete once
            `batches` are exhausted.
    """

    batches: Iterator[RawBatch | Rejected]
    description: dict[str, Any]
