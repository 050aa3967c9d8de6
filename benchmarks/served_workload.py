"""A served model with random weights and requests for it, for `benchmarks.serving`."""

import pathlib
import types
from collections.abc import Sequence
from typing import Any

import numpy as np

WORDS, USERS, DOCUMENTS, BUCKETS = 20_000, 5_000, 5_000, 1_000


class Workload:
    """Requests of a seeded generator, and a served model for them.

    Args:
        folder: Where to write the model.
        system: The model, by its flagfile in configs/systems.
        max_candidates: Candidates of the longest list.
        seed: Seed of texts and weights.

    Attributes:
        names: Signatures of the model.
    """

    def __init__(
        self, folder: pathlib.Path, system: str, max_candidates: int, seed: int = 1
    ) -> None:
        self._draw = np.random.default_rng(seed)
        self._words = [f"word{number}" for number in range(WORDS)]
        self.documents = {f"d{number}": self._title() for number in range(DOCUMENTS)}
        self._ids, self._titles = list(self.documents), list(self.documents.values())
        self.model = folder / "1"
        self.names = self._write(folder, system, max_candidates)

    def _title(self, words: tuple[int, int] = (5, 20)) -> str:
        count = self._draw.integers(words[0], words[1] + 1)
        rows = np.minimum(self._draw.zipf(1.2, size=count), WORDS) - 1
        return " ".join(self._words[row] for row in rows)

    def _write(self, folder: pathlib.Path, system: str, max_candidates: int) -> list[str]:
        """Write the model; return the names of its signatures."""
        import keras

        from data_pipeline.features.feature_columns import FEATURES
        from data_pipeline.text.words import write_vocabulary
        from user_tf.experiments.systems import resolve
        from user_tf.models.ranker import Sizes
        from user_tf.registry import build_ranker
        from user_tf.serving.bundle import make_graph
        from user_tf.serving.graph.document_table import DocumentTable
        from user_tf.serving.signatures import ServedModel

        write_vocabulary(folder / "vocabulary.txt", ["", *self._words])
        config = resolve([f"--flagfile=configs/systems/{system}.flags"]).config
        count = len(FEATURES)
        tokens = 1 + WORDS + BUCKETS
        vectors = self._draw.normal(size=(tokens, config.model.width))
        vectors[0] = 0
        dataset = types.SimpleNamespace(
            manifest={"settings": {"text": {"text_length": 30}}},
            tokenizer="words",
            vocabulary_file=folder / "vocabulary.txt",
            vocabulary_size=1 + WORDS,
            oov_buckets=BUCKETS,
            user_ids=["", *(f"u{number}" for number in range(USERS))],
            word_vectors=vectors,
            text_tokens=np.zeros([1, 30], np.int32),
            document_texts=np.zeros([1], np.int64),
            feature_names=[feature.name for feature in FEATURES],
            feature_mean=np.zeros(count, np.float32),
            feature_std=np.ones(count, np.float32),
            query_free=np.array([feature.query_free for feature in FEATURES]),
            session_behaviors=5,
            past_sessions=20,
            clicked_titles=3,
            max_candidates=max_candidates,
        )
        graph = make_graph(dataset, config, folder)
        sizes = Sizes(vocabulary=tokens, users=1 + USERS, features=count)
        keras.utils.set_random_seed(1)
        copies = {task: build_ranker(config.model, sizes) for task in ("search", "recommendation")}
        staged = all(ranker.staged for ranker in copies.values())
        documents = DocumentTable(folder, self.documents, graph, copies) if staged else None
        served = ServedModel(graph, copies, documents)
        served.write(self.model)
        return served.names

    def request(self, candidates: int, history: int) -> tuple[Any, list[str]]:
        """Return a search and the ids of its candidates; sessions have five behaviors."""
        from user_tf.serving.request import Behavior, Request

        behaviors = tuple(
            Behavior(
                1 + number // 5,
                self._title((1, 4)) if number % 2 else "",
                tuple(self._titles[row] for row in self._popular(1 + number % 2 * (number % 3))),
            )
            for number in range(history)
        )
        rows = self._popular(candidates)
        request = Request(
            user_id=f"u{self._draw.integers(USERS)}",
            query=self._title((1, 4)),
            session=1 + history // 5,
            history=behaviors,
            candidates=tuple(self._titles[row] for row in rows),
        )
        return request, [self._ids[row] for row in rows]

    def _popular(self, count: int) -> Sequence[int]:
        return (np.minimum(self._draw.zipf(1.1, size=count), DOCUMENTS) - 1).tolist()
