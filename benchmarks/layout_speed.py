"""Compare the speed of training USER with the released code's layout, both in one process.

    python -m benchmarks.layout_speed --work=work/throughput

USER trains on its packed batches, `benchmarks.plain_transcription` on the same groups in the layout
of the authors' released code. Both have the paper's widths, 4 negatives a group, dropout, Adam and
the same number of threads. They train in turns, so that other work of the machine slows both down;
the ratio is taken turn by turn. Batches are made before the clock starts. Writes
benchmarks/results/layout_speed.json.
"""

import dataclasses
import os
import pathlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

from absl import app

from benchmarks import workload
from benchmarks.rates import summary
from benchmarks.train_throughput import Case, Trainer
from data_pipeline.common import flagtree
from data_pipeline.common.flagtree import setting
from user_tf.run_folder import write_json


@dataclasses.dataclass(frozen=True)
class LayoutSettings:
    """Settings of `python -m benchmarks.layout_speed`."""

    work: str = setting("work/throughput", "Folder of the log and the datasets.")
    output: str = setting("benchmarks/results", "Folder of the JSON.")
    histories: tuple[int, ...] = dataclasses.field(
        default=(30, 100), metadata={"help": "Past behaviors of a target, one comparison each."}
    )
    rounds: int = setting(9, "Turns of each layout.")
    groups: int = setting(16, "Groups of a step in the released layout; memory grows with it.")
    steps: int = setting(2, "Steps of a turn in the released layout.")
    other_load: str = setting(
        "", "Other work of the machine during the measurement, for the record."
    )


class PlainTrainer:
    """Trains the transcription on groups of packed batches.

    Args:
        batches: Batches of `benchmarks.train_throughput.Trainer`.
        config: `ModelConfig`.
        sizes: `Sizes` of the dataset.
        groups: Groups of a step.
        steps: Steps of a turn.

    Attributes:
        texts: Texts that a group encodes.
    """

    def __init__(
        self, batches: Sequence[Mapping[str, Any]], config: Any, sizes: Any, groups: int, steps: int
    ) -> None:
        import keras
        import numpy as np

        from benchmarks.plain_transcription import PlainTranscription, pad_layout

        layout = pad_layout(batches[0])
        if len(layout["task"]) < groups * steps:
            raise ValueError(
                "`groups` x `steps` must be at most the groups of a packed batch, "
                f"{len(layout['task'])}. Got {groups} x {steps}. Fix: lower --groups or --steps."
            )
        # Every k-th target, so that a step holds several users as a shuffled batch would.
        order = np.arange(groups * steps).reshape(groups, steps).T.ravel()
        self.layouts = [
            {name: values[rows] for name, values in layout.items()}
            for rows in np.split(order * (len(layout["task"]) // len(order)), steps)
        ]
        self.groups = groups * steps
        parts = ("behavior_text", "titles", "candidate_text")
        self.texts = 1 + sum(layout[name].shape[1] for name in parts)
        self.model = PlainTranscription(config, sizes)
        self.model.compile(
            optimizer=keras.optimizers.Adam(1e-3, global_clipnorm=5.0),
            loss=keras.losses.CategoricalCrossentropy(from_logits=True),
            jit_compile=False,
        )
        self.train()

    def train(self) -> float:
        """Return groups/s of one turn."""
        started = time.perf_counter()
        for layout in self.layouts:
            self.model.train_on_batch(layout, layout["labels"])
        return self.groups / (time.perf_counter() - started)


def compare(history: int, settings: LayoutSettings) -> dict[str, Any]:
    """Return rates of both layouts and their ratio, measured in turns.

    Args:
        history: Past behaviors of a target: 10, 30 or 100.
        settings: Turns and sizes.
    """
    user = Trainer(Case("packed", history), pathlib.Path(settings.work))
    plain = PlainTrainer(
        user.batches, user.config.model, user.model.sizes, settings.groups, settings.steps
    )
    turns = [(user.train(), plain.train()) for _ in range(settings.rounds)]
    groups = sum(float(batch["target_weight"].numpy().sum()) for batch in user.batches)
    texts = sum(batch["text_tokens"].shape[0] for batch in user.batches) / groups
    row = {
        "history": history,
        "groups_per_second": {
            "user": summary([mine for mine, _ in turns]),
            "released_layout": summary([other for _, other in turns]),
        },
        "ratio": summary([mine / other for mine, other in turns]),
        "texts_encoded_a_group": {"user": round(texts, 2), "released_layout": plain.texts},
    }
    print(
        f"{history} behaviors: {row['groups_per_second']['user']['median']:.0f} and "
        f"{row['groups_per_second']['released_layout']['median']:.1f} groups/s, ratio "
        f"{row['ratio']['median']:.0f} ({row['ratio']['least']:.0f} to {row['ratio']['most']:.0f})",
        flush=True,
    )
    return row


def main(arguments: list[str]) -> None:
    """Measures every history and writes the JSON."""
    del arguments
    from user_tf.evaluation import metrics_table

    settings = flagtree.read(LayoutSettings)
    usual, command = LayoutSettings(), "python -m benchmarks.layout_speed"
    for name in ("rounds", "groups", "steps"):
        value = getattr(settings, name)
        command += f" --{name}={value}" if value != getattr(usual, name) else ""
    content = {
        **metrics_table.provenance(command, 1),
        "workload": f"`{workload.LOG}`, `{workload.PREPARE}`",
        "other_load": settings.other_load,
        "load": [round(os.getloadavg()[1], 1)],
        "layouts": [compare(history, settings) for history in settings.histories],
    }
    content["load"].append(round(os.getloadavg()[1], 1))
    path = pathlib.Path(settings.output) / "layout_speed.json"
    write_json(path, content)
    print(f"written: {path}")


if __name__ == "__main__":
    flagtree.define(LayoutSettings)
    app.run(main)
