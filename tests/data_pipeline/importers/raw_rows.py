"""Good raw rows of every importer's files, by their number."""

import dataclasses
import datetime
import json
import math
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from data_pipeline.importers import ebnerd, qilin_sql

SECOND = 1_706_702_400
"""Noon of 31 January 2024."""


@dataclasses.dataclass(frozen=True)
class Raw:
    """A file of a source: its columns and its good rows, by their number from 0 on.

    With a schema it is Parquet, otherwise text or XML.
    """

    columns: str
    row: Callable[[int], list[Any]]
    delimiter: str = ","
    header: bool = True
    quoted: bool = True
    schema: pa.Schema | None = None
    xml: bool = False

    @property
    def names(self) -> list[str]:
        return self.columns.split()


def _results(n, time, at):
    """A list of Qilin, with an answer above it and a note shown again."""
    places = ((n % 9, 1, 31.5), ((n + 1) % 9, 0, math.nan), (n % 9, 0, -1.0))
    shown = [
        {"note_idx": note, "position": float(place), "click": click, "page_time": page, time: at}
        for place, (note, click, page) in enumerate(places, 1)
    ]
    return [{**shown[0], "position": 0.0}, *shown]


def _otto(n):
    kinds = ("clicks", "carts", "orders")
    events = [
        {"aid": 11 + place % 2, "ts": (SECOND + place) * 1000, "type": kinds[(n + place) % 3]}
        for place in range(n % 4)
    ]
    return json.dumps({"session": n, "events": events})


def _trivago(n):
    action, reference, shown = (
        ("search for poi", "Opera", ""),
        # Every second one is withheld.
        ("clickout item", "12" if n % 2 else "", "11|12|13"),
        ("interaction item image", "12", ""),
        ("interaction item deals", "12", ""),
        ("search for item", "unknown", ""),
    )[n % 5]
    return [f"u{n // 10}", "s", SECOND + n, n + 1, action, reference, "Oslo, Norway", shown]


def _jd_user(n):
    actions = n % 4
    history = [["5\x186", "-1", "7"][:actions], ["11", "12", "13"][:actions], ["ORD"] * actions]
    lists = ["_".join(of[: min(actions, 3)]) for of in history]
    lists[2] = "_".join(["ORD"] * min(actions, 3))
    return ["5\x1860", "11_12_99", "1.0_0.0_0", *lists, "_".join(["60"] * (min(actions, 3) + 1))]


def _ebnerd_files(part, day):
    noon = datetime.datetime(2023, 5, day, 12)
    minute = datetime.timedelta(minutes=1)
    return {
        f"{part}/behaviors.parquet": Raw(
            " ".join(ebnerd.BEHAVIORS.names),
            lambda n: [
                *(n, noon + n * minute, [11 + n % 4, 15, 16], [15, 16][: n % 3]),
                *(n // 4, [12.5, math.nan, None][n % 3]),
            ],
            schema=ebnerd.BEHAVIORS,
        ),
        f"{part}/history.parquet": Raw(
            " ".join(ebnerd.HISTORY.names),
            lambda n: [n, [11, 12], [noon - 2 * minute, noon - n * minute], [31.0, None]],
            schema=ebnerd.HISTORY,
        ),
    }


def _trec_query(n):
    shown = [{"rank": place, "doc_id": f"d{(n + place) % 6}", "title": "A"} for place in (1, 2, 3)]
    clicks = [{"rank": 2, "starttime": "10.5", "endtime": ["31.5", "NA"][n % 2]}] * (n % 3)
    if n % 4 == 3:
        return ["currentquery", n // 4, "", "60", "last words", [], []]
    return ["interaction", n // 4, f"u{n // 8}", f"{n % 4}.5", "words", shown, clicks]


RAW = {
    "ebnerd": {
        "articles.parquet": Raw(
            " ".join(ebnerd.ARTICLES.names),
            lambda n: [n, "A title", "news", datetime.datetime(2023, 5, 1)],
            schema=ebnerd.ARTICLES,
        ),
        **_ebnerd_files("train", 18),
        **_ebnerd_files("validation", 25),
    },
    "trec_session": {
        "sessiontrack2013.xml": Raw(
            "kind num userid starttime query results clicks", _trec_query, xml=True
        )
    },
    "kuaisar": {
        "item_features.csv": Raw(
            "item_id caption upload_time upload_type first_level_category_name_en",
            lambda n: [10 + n, "[20, 34]", "2023-05-23", "LongImport", "Funny"],
        ),
        "src_inter.csv": Raw(
            "user_id search_session_id search_session_timestamp keyword item_id click_cnt",
            lambda n: [n // 8, n // 2, f"{SECOND + n // 2}000.0", "[20, 3]", 11 + n % 4, n % 3],
        ),
        "rec_inter.csv": Raw(
            "user_id item_id playing_time timestamp click",
            lambda n: [n // 8, 11 + n % 4, "900.5", (SECOND + n // 2) * 1000, n % 2],
        ),
    },
    "diginetica": {
        "products.csv": Raw("itemId pricelog2 product.name.tokens", lambda n: [n, 3, "5,7"], ";"),
        "product-categories.csv": Raw("itemId categoryId", lambda n: [n, n % 3], ";"),
        "train-queries.csv": Raw(
            "queryId sessionId userId timeframe eventdate searchstring.tokens items is.test",
            lambda n: [
                *(n, n // 3, ["NA", 5][n % 2], n * 1000, "2016-05-09", ["NA", "5,7"][n % 2]),
                *("11,12,99", ["FALSE", "FALSE", "TRUE"][n % 3]),
            ],
            ";",
        ),
        "train-clicks.csv": Raw(
            "queryId timeframe itemId", lambda n: [n // 2, n * 1000, 11 + n % 2], ";"
        ),
        "train-item-views.csv": Raw(
            "sessionId userId itemId timeframe eventdate",
            lambda n: [n // 3, "NA", 11 + n % 2, n // 4 * 1000, "2016-05-10"],
            ";",
        ),
    },
    "jdsearch": {
        "product_meta_data.txt": Raw(
            "wid name brand_id cate_id_1", lambda n: [n, "5\x187", 1, 35], "\t", quoted=False
        ),
        "user_behavior_data.txt": Raw(
            "query candidate_wid_list candidate_label_list history_qry_list history_wid_list "
            "history_type_list history_time_list",
            _jd_user,
            "\t",
            quoted=False,
        ),
    },
    "otto": {
        "train.jsonl": Raw(
            "line", lambda n: [_otto(n)], delimiter="\x1f", header=False, quoted=False
        )
    },
    "mind": {
        "news.tsv": Raw(
            "id category subcategory title abstract url title_entities abstract_entities",
            lambda n: [f"N{n}", "news", "world", 'A "title', "words", "url", '[{"a": "b"}]', "[]"],
            "\t",
            header=False,
            quoted=False,
        ),
        "behaviors.tsv": Raw(
            "impression_id user_id time history impressions",
            lambda n: [
                *(n, f"U{n // 4}", f"11/12/2019 1:{n:02}:46 PM"),
                "N1 N2 N3" if n // 4 % 2 else "",
                f"N{n % 9} N{n % 7 + 9}" if n % 4 == 3 else f"N{n % 9}-0 N{n % 7 + 9}-1",
            ],
            "\t",
            header=False,
            quoted=False,
        ),
    },
    "qilin": {
        "notes.csv": Raw(
            "note_title note_content taxonomy1_id note_idx",
            lambda n: [["A title", ""][n % 2], "Some\nwords", "c1", n],
        ),
        "search_train.csv": Raw(
            f"query {qilin_sql.SEARCHES.results} search_idx user_idx",
            lambda n: ["words", _results(n, qilin_sql.SEARCHES.time, SECOND + 0.5), n, n // 4],
        ),
        "recommendation_train.csv": Raw(
            f"query {qilin_sql.RECOMMENDATIONS.results} request_idx user_idx",
            lambda n: ["t", _results(n, qilin_sql.RECOMMENDATIONS.time, SECOND * 1000), n, n // 4],
        ),
    },
    "trivago": {
        "sessions.csv": Raw(
            "user_id session_id timestamp step action_type reference city impressions", _trivago
        )
    },
}
