"""Candidate lists of other protocols: what is drawn, in what order, and what stays as it was."""

import collections
import itertools
import pathlib
import tempfile

import numpy as np
import pytest

from data_pipeline.common.codes import Split
from data_pipeline.events.as_of import NEVER
from data_pipeline.preparation.checks import check_settings
from data_pipeline.settings import EvalCandidateSettings, PseudoNegativeSettings
from data_pipeline.targets import eval_candidates
from data_pipeline.targets.candidate_lists import CandidateLists
from data_pipeline.targets.pseudo_negatives import Documents

NOBODY = (np.zeros(0, np.int64), np.zeros(0, np.int64))
TEST = Split.TEST.number


def documents_of(available, opened=(), known_at=()):
    """Documents without titles; number 0 is the pad document."""
    available = np.array([NEVER, *available])
    vectors = np.zeros((len(available), 2), np.int16)
    return Documents(available, vectors, np.array(opened, np.int64), np.array(known_at, np.int64))


def targets_of(count, time=100, split=TEST):
    """Targets of lists 1, 2, 3: the second relevant, the third clicked without satisfaction."""
    columns = {
        "target_id": np.arange(count),
        "user": np.ones(count, np.int64),
        "time": np.broadcast_to(time, count) + 1000 * np.arange(count),
        "doc": np.zeros(count, np.int64),
        "split": np.full(count, split),
        "pseudo": np.zeros(count, np.int64),
    }
    lists = {
        "doc": np.tile([1, 2, 3], count),
        "label": np.tile([0, 1, 0], count),
        "clicked": np.tile([0, 1, 1], count),
    }
    none = np.zeros(0, np.int64)
    return CandidateLists(columns, lists, 3 * np.arange(count + 1), {}, none)


def redrawn_lists(targets, documents, settings, seed=1):
    """Targets with new lists, and the documents of each."""
    rows = eval_candidates.find_redrawn(targets, settings)
    drawing = documents, NOBODY, settings, PseudoNegativeSettings(), seed
    # Mapped files stay readable after the folder is gone.
    with tempfile.TemporaryDirectory() as folder:
        result = eval_candidates.redraw(targets, rows, ["ann"], *drawing, pathlib.Path(folder))
    assert result.redrawn is rows
    return result, np.split(result.candidates["doc"], result.offsets[1:-1])


def sampled(negatives, drawn_by="uniform"):
    return EvalCandidateSettings("sampled", negatives, drawn_by)


# --- The draw ----------------------------------------------------------------------------------


def test_a_document_is_drawn_as_often_as_its_entries_say_among_those_left():
    # Weights 1, 2 and 5; the pair (first, second) has w1 / W * w2 / (W - w1).
    entries = np.repeat([4, 5, 6], [1, 2, 5])
    none = np.zeros(0, np.int64)
    tries = 6000
    seen = collections.Counter(
        tuple(eval_candidates.draw(entries, none, 2, 1, key).tolist()) for key in range(tries)
    )
    weight = {4: 1, 5: 2, 6: 5}
    for first, second in itertools.permutations(weight, 2):
        expected = weight[first] / 8 * weight[second] / (8 - weight[first])
        assert seen[first, second] / tries == pytest.approx(expected, abs=0.025), (first, second)


def test_a_draw_continues_if_a_few_documents_weigh_nearly_all():
    entries = np.concatenate([np.full(5000, 7), [8, 9]])
    none = np.zeros(0, np.int64)
    drawn = [eval_candidates.draw(entries, none, 2, 1, key).tolist() for key in range(400)]
    assert np.mean([first == 7 for first, _ in drawn]) > 0.98
    # Whatever comes second, 8 and 9 are alike.
    assert np.mean([8 in pair for pair in drawn]) == pytest.approx(0.5, abs=0.1)
    assert all(len(set(pair)) == 2 for pair in drawn)


def test_a_draw_returns_all_eligible_documents_and_no_excluded_one():
    for count in (1, 4, 50):
        drawn = eval_candidates.draw(np.array([3, 4, 4, 5, 6]), np.array([4, 9]), count, 1, 2)
        assert len(set(drawn.tolist())) == len(drawn) == min(count, 3)
        assert set(drawn.tolist()) <= {3, 5, 6}
    assert len(eval_candidates.draw(np.zeros(0, np.int64), np.array([4]), 3, 1, 2)) == 0


# --- Lists -------------------------------------------------------------------------------------


def test_sampled_documents_are_available_unclicked_and_distinct():
    available = [0, 0, 0, *range(40)]
    targets, lists = redrawn_lists(targets_of(1, time=20), documents_of(available), sampled(10))
    docs = set(lists[0].tolist())
    assert len(lists[0]) == len(docs) == 11
    # Document n + 3 is available from n - 1 on; 3 was clicked; 1 was shown only.
    assert docs - {2} <= {1, *range(4, 24)}
    labels = dict(zip(lists[0].tolist(), targets.candidates["label"].tolist(), strict=True))
    assert labels[2] == 1 and sum(labels.values()) == 1
    _, few = redrawn_lists(targets_of(1, time=3), documents_of(available), sampled(10))
    assert sorted(few[0].tolist()) == [1, 2, 4, 5, 6]


def test_the_relevant_document_has_every_rank_equally_often_as_have_all_draws():
    count = 4000
    _, lists = redrawn_lists(targets_of(count), documents_of([0] * 11), sampled(3))
    place = np.stack(lists) == 2
    np.testing.assert_allclose(place.mean(axis=0), 0.25, atol=0.03)
    share = np.bincount(np.concatenate(lists), minlength=12) / count
    assert share[2] == 1 and share[0] == share[3] == 0
    np.testing.assert_allclose(np.delete(share, [0, 2, 3]), 3 / 9, atol=0.03)


def test_by_popularity_a_document_counts_once_more_for_each_open_known_before():
    # Document 5 was opened 91 times, known at 500: 92 of 100 entries from then on.
    documents = documents_of([0] * 11, opened=[5] * 91, known_at=[500] * 91)
    targets = targets_of(1000, time=500)
    targets.rows["time"] = np.repeat([500, 501], 500)
    targets.rows["user"] = np.ones(1000, np.int64)
    # The seeds of draws are user, time and document.
    targets.rows["doc"] = np.arange(1000)
    _, lists = redrawn_lists(targets, documents, sampled(1, "popularity"))
    drawn = np.array([5 in list_ for list_ in lists])
    assert drawn[:500].mean() == pytest.approx(1 / 9, abs=0.05)
    assert drawn[500:].mean() == pytest.approx(92 / 100, abs=0.05)
    _, lists = redrawn_lists(targets, documents, sampled(1))
    assert np.mean([5 in list_ for list_ in lists]) == pytest.approx(1 / 9, abs=0.05)


def test_an_open_earlier_than_publication_makes_no_document_available():
    documents = documents_of([0, 0, 0, 900], opened=[4], known_at=[50])
    _, lists = redrawn_lists(targets_of(1), documents, sampled(5, "popularity"))
    assert sorted(lists[0].tolist()) == [1, 2]


def test_a_list_depends_on_seed_and_target_alone():
    documents = documents_of([0] * 40)
    _, all_lists = redrawn_lists(targets_of(6), documents, sampled(5))
    _, fewer = redrawn_lists(targets_of(3), documents, sampled(5))
    for one, other in zip(all_lists, fewer, strict=False):
        np.testing.assert_array_equal(one, other)
    _, others = redrawn_lists(targets_of(6), documents, sampled(5), seed=2)
    assert all(set(a.tolist()) != set(b.tolist()) for a, b in zip(all_lists, others, strict=True))


def test_only_validation_and_test_are_redrawn():
    targets = targets_of(3)
    targets.rows["split"] = np.arange(3)
    assert eval_candidates.find_redrawn(targets, EvalCandidateSettings("shown")).tolist() == []
    assert eval_candidates.find_redrawn(targets, EvalCandidateSettings("pseudo")).tolist() == [1, 2]
    targets.rows["pseudo"][2] = 1
    assert eval_candidates.find_redrawn(targets, EvalCandidateSettings("pseudo")).tolist() == [1]
    assert eval_candidates.find_redrawn(targets, EvalCandidateSettings("sampled")).tolist() == [
        1,
        2,
    ]
    result, lists = redrawn_lists(targets, documents_of([0] * 20), sampled(7))
    assert [len(docs) for docs in lists] == [3, 8, 8]
    assert lists[0].tolist() == [1, 2, 3]
    assert result.select(0, 3)["position"].tolist() == [0, 1, 2, *range(8), *range(8)]
    assert result.rows["pseudo"].tolist() == [0, 1, 1]


def test_no_negative_at_all_is_refused(small_settings):
    settings = small_settings("log", "dataset", eval_candidates=sampled(0))
    with pytest.raises(ValueError, match=r"eval_candidates.count` must be at least 1. Got 0"):
        check_settings(settings)
