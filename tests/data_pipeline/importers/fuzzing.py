"""Shared by the fuzz tests of importers: odd values, odd lines, damaged files, and their import."""

import collections
import datetime
import json
import math
import os
import pathlib

import hypothesis
import pyarrow as pa
from hypothesis import strategies as st

from data_pipeline.import_log import import_log
from data_pipeline.log.schema import LogError
from tests.data_pipeline.importers import importing

ROWS = int(os.environ.get("USER_TF_FUZZ_ROWS") or 100)

TEXTS = st.one_of(
    st.sampled_from(["", " ", "d1", "d0", "zz", "NULL", "null", "\x00", "'", '"', 'a"b', "a\nb"]),
    st.sampled_from(["\ufeff", "\u2028", "🛒", "é", "\r", "\\", "$", "a,b", "x" * 200_000]),
    st.text(st.characters(codec="utf-8"), max_size=12),
)
TIMES = st.sampled_from(
    [
        *("1969-12-31T23:59:59Z", "1989-12-31T23:59:59.999999Z", "2100-01-01T00:00:00Z"),
        *("2024-02-30T12:00:00Z", "2024-01-31T24:00:00Z", "2024-01-31T12:00:60Z", "2024-01-31"),
        *("9999-12-31T23:59:59Z", "294247-01-10T04:00:54Z", "infinity", "-infinity", "epoch"),
        *(
            "now",
            "noon",
            "2024-01-31T12:00:00+99:99",
            "2024-01-31T12:00:00 Mars/Base",
            "1706702400",
        ),
        *("2024-01-31T12:00:00.1234567890Z", "0000-00-00T00:00:00Z", "2024-01-31T12:00-12:00"),
    ]
)
NUMBERS = st.one_of(
    st.floats(),
    st.integers(),
    st.sampled_from(
        [math.nan, math.inf, -0.0, -1, 1e308, 10**30, 10**400, 2**63, -(2**63), 2**53 + 1]
    ),
)
PLAIN = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS, TIMES)
DEEP = [json.loads("[" * depth + "]" * depth) for depth in (2, 300)]
ANY = st.one_of(
    PLAIN,
    st.lists(PLAIN, max_size=3),
    st.dictionaries(TEXTS, PLAIN, max_size=2),
    st.sampled_from(DEEP),
)


JUNK = st.one_of(
    st.sampled_from([b'"', b'""a"b,"', b",,,,,,,,,", b"{", b"[]", b"null", b"1", b"\\", b"\x00"]),
    st.sampled_from([b"{}{}", b'{"user_id"', b'{"a": 1, "a": 2}', b"\r", b"NaN", b"\t", b"a\rb"]),
    st.text(st.characters(codec="utf-8"), max_size=20).map(str.encode),
)
OTHER_TYPES = [
    *(pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string()), pa.binary()),
    *(pa.int64(), pa.float32(), pa.bool_(), pa.null(), pa.date32()),
    *(pa.timestamp(unit, zone) for unit in ("s", "ms", "ns") for zone in (None, "Asia/Tokyo")),
]


@st.composite
def damage(draw):
    """Draw the damage to a file; mostly none."""
    what = draw(
        st.sampled_from(["none"] * 24 + ["cut", "flip", "append", "empty", "latin", "bom", "zeros"])
    )
    return what, draw(st.floats(0, 1)), draw(st.integers(1, 255))


def harm(content, done):
    """The bytes of a file after `damage`."""
    what, share, number = done
    at = round(share * len(content))
    if what == "flip":
        at = min(at, len(content) - 1)
        return content[:at] + bytes([content[at] ^ number]) + content[at + 1 :]
    return {
        "none": content,
        "cut": content[:at],
        "append": content + bytes([number]) * number,
        "empty": b"",
        "latin": b"\xe9" + content,
        "bom": b"\xef\xbb\xbf" + content,
        "zeros": content + bytes(8),
    }[what]


def examples(rows_a_file):
    """Hypothesis settings for about `ROWS` rows."""
    return hypothesis.settings(
        max_examples=math.ceil(ROWS / rows_a_file),
        # No hang either: an import takes less than a second.
        deadline=datetime.timedelta(minutes=1),
        derandomize="USER_TF_FUZZ_ROWS" not in os.environ,
        suppress_health_check=list(hypothesis.HealthCheck),
    )


class Fates:
    """Import files of `rows` rows each and count the outcomes."""

    def __init__(self):
        self.counts = collections.Counter()

    def import_or_refuse(self, settings, path, rows):
        """The log of an import, or None where it refused a file, by the name of the harmed one."""
        self.counts["files"] += 1
        self.counts["rows"] += rows
        output = pathlib.Path(settings.output)
        folder = output.parent / path.relative_to(output.parent).parts[0]
        names = path.name, path.relative_to(folder).as_posix()
        try:
            import_log(settings, importing.PLAIN)
        except LogError as error:
            assert os.listdir(output.parent) == [folder.name]
            assert str(error).startswith(names) or "must hold a request" in str(error)
            self.counts["files refused"] += 1
            return None
        assert sorted(os.listdir(output.parent)) == [folder.name, output.name]
        return importing.assert_whole(output)

    def add(self, *tables):
        """Counts rows of tables of a log's report."""
        self.counts["rows kept"] += sum(table.kept for table in tables)
        self.counts["rows quarantined"] += sum(table.quarantined for table in tables)

    def close(self, name):
        """Prints the counts; there must be enough rows, and some of every fate."""
        counts = self.counts
        print(f"{name}: {', '.join(f'{what} {count:,}' for what, count in counts.items())}")
        assert counts["rows"] >= ROWS
        assert counts["rows kept"] and counts["rows quarantined"]
        assert counts["files refused"] < counts["files"]
