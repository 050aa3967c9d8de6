"""Good raw rows of every importer's files, by their number."""

import dataclasses
import json
import math
from collections.abc import Callable
from typing import Any

from data_pipeline.importers import qilin_sql

SECOND = 1_706_702_400
"""Noon of 31 January 2024."""


@dataclasses.dataclass(frozen=True)
class Raw:
    """A file of a source: its columns and its good rows, by their number from 0 on."""

    columns: str
    row: Callable[[int], list[Any]]
    delimiter: str = ","
    header: bool = True
    quoted: bool = True

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
        ("clickout item", "12", "11|12|13"),
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


RAW = {
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
                *("N1 N2 N3" if n // 4 % 2 else "", f"N{n % 9}-0 N{n % 7 + 9}-1"),
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
