"""Write a dataset folder under a temporary name; it gets its own name when it is complete."""

import json
import os
from typing import Any

from data_pipeline.common.checksums import describe_files
from data_pipeline.common.output_folder import UnfinishedFolder
from data_pipeline.dataset.dataset_folder import MANIFEST, VERSIONS


class DatasetWriter(UnfinishedFolder):
    """Write a dataset under a temporary name and rename it when it is complete.

    A context manager: leaving it with an error removes the written files, unless `keep` is set. The
    folder of a killed run is kept for resume.

    Args:
        path: Folder of the dataset; must not exist.

    Raises:
        FileExistsError: `path` exists.
        FolderInUse: Another run is writing it.

    Attributes:
        folder: Folder to write to now; `path` with ".tmp" at the end.
        resumed: Whether an earlier run left the folder.
    """

    resumed = False

    def begin(self) -> None:
        """Make the temporary folder.

        Raises:
            FileExistsError: The folder of the dataset exists.
        """
        if self.path.exists():
            raise FileExistsError(
                f"`output` must not exist. Got {os.fspath(self.path)!r}. Fix: set --output to a new "
                "folder, or remove this one."
            )
        self.resumed = self.folder.exists()
        self.folder.mkdir(exist_ok=True)

    def clear(self) -> None:
        """Remove the files of a killed run that cannot be resumed."""
        super().begin()

    def finish(self, manifest: dict[str, Any]) -> None:
        """Add versions and checksums, write the manifest, rename the folder."""
        files = describe_files(self.folder)
        complete = {**VERSIONS, **manifest, "files": files}
        text = json.dumps(complete, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
        with open(self.folder / MANIFEST, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        self.rename()
