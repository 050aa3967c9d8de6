"""Compare the speed of training USER with the released code's layout, both in one process.

    python -m benchmarks.layout_speed --work=work/throughput

USER trains on its packed batches, `benchmarks.peers.plain_transcription` on the same groups in the layout
of the authors' released code. Both have the paper's widths, 4 negatives a group, dropout, Adam and
the same number of threads. A round alternates their steps, so that other work of the machine slows
both down; the ratio is taken round by round. Batches are made before the clock starts. Writes
benchmarks/results/layout_speed.json.
"""

import dataclasses
import os
import pathlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks import workload
from benchmarks.train_throughput import Case, Trainer
from benchmarks.workload import summary
from data_pipeline.common import command_line, flagtree
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
    rounds: int = setting(9, "Rounds; each alternates three steps of both layouts.")
    groups: int = setting(8, "Groups of a step in the released layout; memory grows with it.")
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

    Attributes:
        texts: Texts that a group encodes.
    """

    def __init__(
        self, batches: Sequence[Mapping[str, Any]], config: Any, sizes: Any, groups: int
    ) -> None:
        import keras
        import numpy as np

        from benchmarks.peers.plain_transcription import PlainTranscription, pad_layout

        self.layouts = []
        for batch in batches:
            layout = pad_layout(batch)
            count = len(layout["task"])
            if count < groups:
                raise ValueError(
                    f"`groups` must be at most the groups of a packed batch, {count}. Got "
                    f"{groups}. Fix: set --groups."
                )
            # Evenly spaced targets, so that a step holds several users as a shuffled batch would.
            rows = np.arange(groups) * (count // groups)
            self.layouts.append({name: values[rows] for name, values in layout.items()})
        # One size for all steps, so that the step is compiled once.
        most = max(layout["titles"].shape[1] for layout in self.layouts)
        for layout in self.layouts:
            missing = most - layout["titles"].shape[1]
            layout["titles"] = np.pad(layout["titles"], [(0, 0), (0, missing), (0, 0)])
        parts = ("behavior_text", "titles", "candidate_text")
        self.texts = 1 + sum(layout[name].shape[1] for name in parts)
        self.model = PlainTranscription(config, sizes)
        self.model.compile(
            optimizer=keras.optimizers.Adam(1e-3, global_clipnorm=5.0),
            loss=keras.losses.CategoricalCrossentropy(from_logits=True),
            jit_compile=False,
        )
        # The first pass traces and compiles.
        for number in range(len(self.layouts)):
            self.step(number)

    def step(self, number: int) -> int:
        """Train on the groups of a batch and return their number."""
        layout = self.layouts[number]
        self.model.train_on_batch(layout, layout["labels"])
        return len(layout["task"])


def compare(history: int, settings: LayoutSettings) -> dict[str, Any]:
    """Return the rates of both layouts and their ratio, round by round.

    Args:
        history: Past behaviors of a target: 10, 30 or 100.
        settings: Rounds and sizes.
    """
    user = Trainer(Case("packed", history), pathlib.Path(settings.work))
    plain = PlainTrainer(user.batches, user.config.model, user.model.sizes, settings.groups)

    def measure_round() -> list[float]:
        groups, seconds = [0.0, 0.0], [0.0, 0.0]
        for number in range(len(user.batches)):
            for place, step in enumerate((user.train_step, plain.step)):
                started = time.perf_counter()
                groups[place] += step(number)
                seconds[place] += time.perf_counter() - started
        return [count / spent for count, spent in zip(groups, seconds, strict=True)]

    rounds = [measure_round() for _ in range(settings.rounds)]
    groups = sum(float(batch["target_weight"].numpy().sum()) for batch in user.batches)
    texts = sum(batch["text_tokens"].shape[0] for batch in user.batches) / groups
    row = {
        "history": history,
        "groups_per_second": {
            "user": summary([mine for mine, _ in rounds]),
            "released_layout": summary([other for _, other in rounds]),
        },
        "ratio": summary([mine / other for mine, other in rounds]),
        "texts_encoded_a_group": {
            "user": round(texts, 2),
            "released_layout": plain.texts,
        },
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
    for name in ("rounds", "groups"):
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
    command_line.run(main)
