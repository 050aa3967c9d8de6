import csv

from data_pipeline.importers import qilin, qilin_sql
from tests.data_pipeline.importers import importing
from tests.data_pipeline.importers.importing import (
    DATA,
    documents,
    import_folder,
    quarantine,
)
from tests.data_pipeline.importers.qilin.qilin_files import (
    NOTE_COLUMNS,
    RECOMMENDED_LIST,
    SEARCH_LIST,
    assert_rows_add_up,
    make_note,
    write_csv,
)

SAMPLE = DATA / "qilin_toy"


needs_real_rows = importing.needs_real_rows(SAMPLE)


@needs_real_rows
def test_every_real_row_and_click_is_accounted_for(tmp_path, request):
    limit = csv.field_size_limit(1 << 30)
    request.addfinalizer(lambda: csv.field_size_limit(limit))
    shown, clicks, folder = set(), 0, tmp_path / "in"
    folder.mkdir()
    for table in qilin_sql.REQUESTS:
        (folder / f"{table}.csv").symlink_to(SAMPLE / f"{table}.csv")
        with open(SAMPLE / f"{table}.csv", encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                text = row.get(SEARCH_LIST) or row[RECOMMENDED_LIST]
                places = [
                    part.split("'note_idx': ")[1].split(",")[0] for part in text.split("{")[1:]
                ]
                clicked = ["'click': 1" in part for part in text.split("{")[1:]]
                names = {f"{float(place):.0f}" for place in places}
                clicks += len({p for p, c in zip(places, clicked, strict=True) if c})
                index = row.get("search_idx") or row["request_idx"]
                shown |= {(table, index, name) for name in names}
    with open(SAMPLE / "notes.csv", encoding="utf-8", newline="") as file:
        notes = list(csv.DictReader(file))
    # The sample has few notes of its lists; the others are added without a title.
    missing = {name for _, _, name in shown} - {note["note_idx"] for note in notes}
    known = [[note[column] for column in NOTE_COLUMNS] for note in notes]
    others = [make_note(name, "", "") for name in sorted(missing)]
    write_csv(folder / "notes.csv", NOTE_COLUMNS, [*known, *others])
    log, read = import_folder(qilin, folder)
    assert quarantine(log) == []
    assert_rows_add_up(log, {"notes": 10 + len(missing)} | dict.fromkeys(qilin_sql.REQUESTS, 10))
    assert (log.report.searches, log.report.recommendations) == (30, 20)
    assert log.report.results == len(shown) and log.report.clicks == clicks
    assert read["results"]["place of a list"] == len(shown)
    assert log.report.first_time[:7] == log.report.last_time[:7] == "2024-11"
    assert documents(log)["0"][0] == notes[0]["note_title"]
