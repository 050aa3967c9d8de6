"""Random valid Batches for tests of rankers; `data_pipeline.batching.spec` describes the fields."""

import numpy as np

from data_pipeline.batching import spec
from user_tf.models.ranker import Sizes

SIZES = Sizes(
    vocabulary=40,
    users=6,
    features=3,
    clicked_titles=3,
    session_behaviors=4,
    past_sessions=3,
    documents=50,
    text_length=5,
)


def random_batch(
    seed,
    sizes=SIZES,
    texts=12,
    length=5,
    behaviors=14,
    sessions=6,
    targets=7,
    candidates=4,
    tasks=(1, 2),
):
    """Return a Batch of NumPy arrays in which every kind of emptiness is likely.

    Row 0 of texts, behaviors and sessions is the empty one; the last text is empty too, the last
    target is padding, and lists are left-aligned.
    """
    rng = np.random.default_rng(seed)

    def left_aligned(rows, width, high, low=0):
        lengths = rng.integers(low, width + 1, size=rows)
        values = rng.integers(1, high, size=(rows, width))
        return values * (np.arange(width) < lengths[:, None])

    tokens = left_aligned(texts, length, sizes.vocabulary, low=1)
    tokens[[0, -1]] = 0
    kind = rng.integers(1, 3, size=behaviors)
    kind[0] = 0
    clicked = left_aligned(behaviors, sizes.clicked_titles, texts) * (kind == 2)[:, None]
    text = rng.integers(0, texts, size=behaviors) * (kind > 0)
    members = left_aligned(sessions, sizes.session_behaviors, behaviors, low=1)
    members[0] = 0
    task = np.asarray(tasks)[np.arange(targets) % len(tasks)]
    task[-1] = 0
    real = task > 0
    mask = (np.arange(candidates) < rng.integers(2, candidates + 1, size=targets)[:, None]) & real[
        :, None
    ]
    labels = np.zeros((targets, candidates), np.float32)
    labels[np.arange(targets), [rng.integers(0, max(row.sum(), 1)) for row in mask]] = real
    features = rng.normal(size=(targets, candidates, sizes.features)) * mask[..., None]
    features = features * (task == 2)[:, None, None]
    values = {
        "text_tokens": tokens,
        "behavior_type": kind,
        "behavior_text": text,
        "behavior_clicked": clicked,
        "behavior_doc": text * (kind == 1),
        "behavior_clicked_docs": clicked,
        "session_behaviors": members,
        "target_id": np.where(real, np.arange(targets), -1),
        "target_weight": real,
        "task": task,
        "user": rng.integers(0, sizes.users, size=targets) * real,
        "query_text": rng.integers(1, texts, size=targets) * (task == 2),
        "next_query_text": rng.integers(0, texts, size=targets) * real,
        "current_behaviors": left_aligned(targets, sizes.session_behaviors, behaviors)
        * real[:, None],
        "past_sessions": left_aligned(targets, sizes.past_sessions, sessions) * real[:, None],
        "candidate_text": rng.integers(1, texts, size=(targets, candidates)) * mask,
        "candidate_doc": rng.integers(1, SIZES.documents, size=(targets, candidates)) * mask,
        "candidate_rank": np.arange(1, candidates + 1) * mask,
        "candidate_mask": mask,
        "labels": labels,
        "features": features,
    }
    assert set(values) == set(spec.BY_NAME)
    return {name: value.astype(spec.BY_NAME[name].dtype) for name, value in values.items()}
