import csv
import datetime
import gzip
import re

import numpy as np
import pyarrow.parquet as pq
import pytest

from data_pipeline.importers import trivago
from data_pipeline.log.log_folder import open_log, write_log
from data_pipeline.settings import LogSettings
from tests.data_pipeline.importers import importing

DEV = importing.DATA / "trivago" / "sessions_dev.csv.gz"


needs_real_rows = importing.needs_real_rows(DEV)


@pytest.fixture(scope="module")
def dev(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trivago")
    (folder / "user.key").write_text("a key of the test")
    source = trivago.read(DEV)
    settings = LogSettings(key_file=str(folder / "user.key"))
    write_log(folder / "log", source.batches, settings, source.description)
    return open_log(folder / "log")


@needs_real_rows
def test_every_real_row_is_accounted_for(dev):
    tables = dev.report.tables
    assert tables["sessions"].read == 72_188
    assert tables["requests"].read == 9_554
    assert all(table.read == table.kept + table.quarantined for table in tables.values())
    read = dev.source["read"]["actions"]
    assert sum(sum(outcomes.values()) for outcomes in read.values()) == 72_188
    assert sum(read["clickout item"].values()) == 9_554
    assert (dev.report.users, dev.report.searches) == (4_606, 4_012)
    assert dev.report.recommendations == 5_542
    # Clickouts that end their session, the only ones without dwell.
    assert dev.report.clicks_without_dwell == 4_952
    assert dev.report.first_time[:10] == "2018-11-07" and dev.report.last_time[:10] == "2018-11-08"


def _touched_first(requests, browses):
    """Reciprocal rank of the clicked item per request, items touched in the session first.

    Sessions by 30 minutes between starts; of one second, browses come before clickouts.
    """
    events = [(row["user_id"], row["time"], 0, row["doc_id"]) for row in browses]
    for number, row in enumerate(requests):
        events.append((row["user_id"], row["time"], 1, number))
    events.sort(key=lambda event: event[:3])
    ranks, user, before, touched = np.zeros(len(requests)), None, None, []
    for event_user, time, kind, what in events:
        if event_user != user or time - before > datetime.timedelta(minutes=30):
            touched = []
        user, before = event_user, time
        if kind == 1:
            shown = [place["doc_id"] for place in requests[what]["results"]]
            recent = [doc for doc in dict.fromkeys(reversed(touched)) if doc in shown]
            order = recent + [doc for doc in shown if doc not in recent]
            [clicked] = [p["doc_id"] for p in requests[what]["results"] if p["clicked"]]
            ranks[what] = 1 / (order.index(clicked) + 1)
            touched.append(clicked)
        else:
            touched.append(what)
    return ranks


@needs_real_rows
def test_the_known_lines_are_found_in_the_imported_log(dev):
    requests = pq.read_table(dev.requests).to_pylist()
    browses = pq.read_table(dev.browses).to_pylist()
    is_search = np.array([row["query"] != "" for row in requests])
    clicked = [[place["clicked"] for place in row["results"]] for row in requests]
    shown = np.array([1 / (places.index(True) + 1) for places in clicked])
    harmonic = [np.mean(1 / np.arange(1, len(places) + 1)) for places in clicked]
    touched = _touched_first(requests, browses)
    lines = [
        [np.mean(ranks[of]) for ranks in (np.array(harmonic), shown, touched)]
        for of in (is_search, ~is_search)
    ]
    # The published lines are .174 .368 .546 and .175 .504 .645. The log does not carry the file's
    # sessions, so touched-first, which cuts them anew, may differ by a little.
    np.testing.assert_allclose(np.array(lines)[:, :2], [[0.174, 0.368], [0.175, 0.504]], atol=5e-4)
    np.testing.assert_allclose(np.array(lines)[:, 2], [0.546, 0.645], atol=1e-3)


@needs_real_rows
def test_no_raw_user_id_of_the_real_rows_is_in_any_byte_written(dev):
    with gzip.open(DEV, "rt", encoding="utf-8") as file:
        raw = {row["user_id"].encode() for row in csv.DictReader(file)}
    # Any text of twelve capitals and digits might be one; overlapping ones are found too.
    form = re.compile(rb"(?=([0-9A-Z]{12}))")
    assert len(raw) == 4_606 and all(form.match(user) for user in raw)
    for path in dev.folder.iterdir():
        written = [path.read_bytes()]
        if path.suffix == ".parquet":
            # Unpacked too, so that compression hides nothing.
            written.append(pq.read_table(path).to_pandas().to_csv().encode())
        assert not any(raw & set(form.findall(part)) for part in written), path.name
