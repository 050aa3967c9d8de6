"""Odd lines of a file of requests: each gets its answer or its error, and no other line changes.

`make fuzz` makes 2,000 lines, `make test` a few; USER_TF_FUZZ_LINES sets how many.
"""

import json
import math
import os

import hypothesis
from hypothesis import strategies as st

from user_tf.serving.request_file import answers
from user_tf.serving.saved_ranker import SavedRanker

LINES = int(os.environ.get("USER_TF_FUZZ_LINES") or 100)
LINES_A_FILE = 20

GOOD = {
    "request_id": "r",
    "user_id": "u",
    "query": "shoes",
    "session": 3,
    "history": [
        {"session": 1, "query": "shoes", "clicked": ["a", "b"]},
        {"session": 3, "title": "c"},
    ],
    "opened": [{"session": 1, "query": "shoes", "title": "a"}, {"title": "b"}],
    "candidates": ["a", "bb"],
    "features": [[0.5, None], [1, -2]],
}
TIMED = {
    "query": "shoes",
    "time": "2020-12-01T05:20:00+00:00",
    "history": [{"time": 1_606_700_000, "title": "c"}, {"time": 1_606_700_900.5}],
    "candidates": ["a"],
}
NUMBERS = st.one_of(
    st.integers(),
    st.floats(),
    st.sampled_from([10**400, -(10**400), 1e39, -1e39, 2**63, 2**63 - 1, 0, -1, math.nan, 1e300]),
)
TEXTS = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        ["\ud800", "\x00", "\u2028", "2020-12-01", "0001-01-01T00:00:00+23:59", "x" * 20_000]
    ),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from([*GOOD, "time", "title", "clicked"]), inner, max_size=3),
    ),
    max_leaves=5,
)
# Written as text: the encoder of JSON reaches Python's limit before the decoder does.
DEEP = {f'"{depth} deep"': "[" * depth + "]" * depth for depth in (50, 400)}
RAW = st.sampled_from(
    [
        *(
            b"{",
            b"[]",
            b"null",
            b"1",
            b"NaN",
            b"\xff\xfe",
            b"\xef\xbb\xbf{}",
            b'{"a": 1}{}',
            b"\x00",
        ),
        *(
            b"[" * 50_000,
            b'{"history": ' * 20_000,
            b"1" * 5_000,
            b'{"session": 1e999}',
            b'"\\ud800"',
        ),
    ]
)


@st.composite
def _damaged(draw):
    """Return a good request with values at one or two random places replaced, removed or added."""
    body = json.loads(json.dumps(draw(st.sampled_from([GOOD, TIMED]))))
    for _ in range(draw(st.integers(0, 2))):
        place = body
        while True:
            keys = sorted(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(place[key], dict | list) and draw(st.booleans()):
                place = place[key]
                continue
            if draw(st.integers(0, 4)) == 0:
                del place[key]
            else:
                place[key] = draw(
                    st.one_of(VALUES, st.sampled_from([mark.strip('"') for mark in DEEP]))
                )
            break
    text = json.dumps(body)
    for mark, deep in DEEP.items():
        text = text.replace(mark, deep)
    return text.encode()


def _refuse_constant(name):
    raise AssertionError(f"{name} is no JSON")


LINE = st.one_of(_damaged(), _damaged(), RAW, VALUES.map(lambda value: json.dumps(value).encode()))


def test_every_line_gets_its_answer_or_its_error(model, tmp_path):
    ranker, path = SavedRanker(model / "2"), tmp_path / "in.jsonl"
    good = json.dumps({"query": "q", "session": 1, "candidates": ["a", "bb"]}).encode()
    seen = {"answered": 0, "refused": 0}

    @hypothesis.settings(
        max_examples=max(1, LINES // LINES_A_FILE),
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(st.lists(LINE, min_size=LINES_A_FILE, max_size=LINES_A_FILE))
    def check(lines):
        path.write_bytes(b"\n".join([good, *lines, good]))
        found = list(answers(ranker, path, 8))
        assert [answer["line"] for answer in found] == list(range(1, len(lines) + 3))
        assert found[0]["scores"] == found[-1]["scores"] == [1.0, 2.0]
        for answer in found:
            request = answer.pop("request", None)
            text = json.dumps(answer, ensure_ascii=False, allow_nan=False)
            assert json.loads(text, parse_constant=_refuse_constant) == answer and "\n" not in text
            text.encode("utf-8")
            if request is None:
                assert set(answer) == {"line", "file", "error"} and " Fix: " in answer["error"]
                seen["refused"] += 1
            else:
                assert all(map(math.isfinite, answer["scores"]))
                assert len(answer["scores"]) == len(request.candidates) == len(answer["ranking"])
                seen["answered"] += 1

    check()
    assert min(seen.values()) > LINES // 20, seen
