"""Crowded random logs, and alterations of one fact with the last second at which it is unknown."""

import itertools
import random

DOCUMENTS = [f"d{n}" for n in range(12)]
QUERIES = ["red shoes", "blue hats", "green socks"]


def random_log(log_builder, seed, lists=True, users=3):
    """A crowded log on a 15-second grid, so that equal timestamps and near ones abound."""
    draw, log = random.Random(seed), log_builder()
    for doc in DOCUMENTS:
        log.document(doc, f"{doc} {draw.choice(['shoes', 'hats', 'socks'])}")
    number = 0
    for user in (f"u{n}" for n in range(users)):
        for session in range(4):
            # Users' sessions begin at different times, their events share the grid.
            at = session * 7200 + draw.randrange(0, 40) * 15
            for _ in range(draw.randrange(2, 5)):
                at += draw.choice([0, 15, 30, 45, 300])
                kind = draw.choice(
                    ["search", "recommend", "browse"] if lists else ["search", "browse"]
                )
                if kind == "browse":
                    log.browse(
                        user,
                        at + draw.choice([0, 15]),
                        draw.choice(DOCUMENTS),
                        draw.choice([None, 10.0, 90.0]),
                    )
                    continue
                number += 1
                docs = draw.sample(DOCUMENTS, 4)
                results = []
                for place, doc in enumerate(docs):
                    if place == 1 or draw.random() < 0.2:
                        click = (
                            None if draw.random() < 0.2 else at + draw.choice([15, 30, 600, 5400])
                        )
                        results.append((doc, click, draw.choice([None, 10.0, 90.0])))
                    else:
                        results.append(doc)
                query = draw.choice(QUERIES) if kind == "search" else ""
                log.request(f"r{number:03d}", user, at, query, *results)
    return log


def seconds(log, row, field="time"):
    return (row[field] - log.time(0)).total_seconds()


def known_from(log, row, result=None):
    """Seconds after which a request's result, or a row itself, is known; inf for never."""
    if result is None:
        return seconds(log, row)
    if result["click_time"] is not None:
        return seconds(log, result, "click_time")
    user, times = row["user_id"], []
    for request in log.rows["requests"]:
        if request["user_id"] == user:
            times.append(seconds(log, request))
            times += [
                seconds(log, r, "click_time")
                for r in request["results"]
                if request["query"] == "" and r.get("click_time")
            ]
    times += [seconds(log, b) for b in log.rows["browses"] if b["user_id"] == user]
    ordered = sorted(times)
    starts = [b for a, b in itertools.pairwise(ordered) if b - a > 1800]
    later = [start for start in starts if start > seconds(log, row)]
    return later[0] - 1e-6 if later else float("inf")


def clicks(log, **wanted):
    """(request, result) of the clicks that are timed or not, of searches or not."""
    for request in log.rows["requests"]:
        for result in request["results"]:
            if not result["clicked"]:
                continue
            timed, search = result["click_time"] is not None, request["query"] != ""
            if wanted.get("timed", timed) == timed and wanted.get("search", search) == search:
                yield request, result


def known_later(log):
    """Clicks without a time that a later session makes known."""
    found = clicks(log, timed=False)
    return [pair for pair in found if known_from(log, *pair) < float("inf")]


def unclick(result):
    result.update(clicked=False, click_time=None, dwell_seconds=None)


# Each alteration changes one thing in place and returns whose it was and the last second at which
# it is not known.
def alter_query(log, draw):
    row = draw.choice([r for r in log.rows["requests"] if r["query"]])
    row["query"] = draw.choice([q for q in QUERIES if q != row["query"]])
    return row["user_id"], seconds(log, row)


def remove_search(log, draw):
    row = draw.choice([r for r in log.rows["requests"] if r["query"]])
    log.rows["requests"].remove(row)
    return row["user_id"], seconds(log, row)


def alter_browse(log, draw):
    row = draw.choice(log.rows["browses"])
    row["doc_id"] = draw.choice([d for d in DOCUMENTS if d != row["doc_id"]])
    return row["user_id"], seconds(log, row)


def add_browse(log, draw):
    row = draw.choice(log.rows["requests"])
    log.browse(row["user_id"], seconds(log, row), draw.choice(DOCUMENTS), 90.0)
    return row["user_id"], seconds(log, row)


def alter_browse_dwell(log, draw):
    row = draw.choice(log.rows["browses"])
    row["dwell_seconds"] = 10.0 if row["dwell_seconds"] != 10.0 else 90.0
    return row["user_id"], seconds(log, row) + 30


def alter_search_click_dwell(log, draw):
    row, result = draw.choice(list(clicks(log, timed=True, search=True)))
    result["dwell_seconds"] = 10.0 if result["dwell_seconds"] != 10.0 else 90.0
    return row["user_id"], seconds(log, result, "click_time") + 30


def remove_search_click(log, draw):
    row, result = draw.choice(list(clicks(log, timed=True, search=True)))
    known = known_from(log, row, result) + 30
    unclick(result)
    return row["user_id"], known


def alter_recommendation_dwell(log, draw):
    row, result = draw.choice(list(clicks(log, timed=True, search=False)))
    result["dwell_seconds"] = 10.0 if result["dwell_seconds"] != 10.0 else 90.0
    return row["user_id"], seconds(log, result, "click_time") + 30


def remove_recommendation_click(log, draw):
    row, result = draw.choice(list(clicks(log, timed=True, search=False)))
    known = known_from(log, row, result)
    unclick(result)
    return row["user_id"], known


def delay_click(log, draw):
    row, result = draw.choice(list(clicks(log, timed=True)))
    known = known_from(log, row, result) + (30 if row["query"] else 0)
    result["click_time"] = log.time(seconds(log, result, "click_time") + 600)
    return row["user_id"], known


def remove_untimed_click(log, draw):
    row, result = draw.choice(known_later(log))
    known = known_from(log, row, result)
    unclick(result)
    return row["user_id"], known


def alter_untimed_dwell(log, draw):
    row, result = draw.choice(known_later(log))
    result["dwell_seconds"] = 10.0 if result["dwell_seconds"] != 10.0 else 90.0
    return row["user_id"], known_from(log, row, result)


def cut_the_end(log, draw):
    """Nothing from the middle of the log on ever happened."""
    middle = 7200 + draw.randrange(0, 40) * 15
    for name in ("requests", "browses"):
        log.rows[name] = [r for r in log.rows[name] if seconds(log, r) < middle]
    for _, result in clicks(log, timed=True):
        if seconds(log, result, "click_time") >= middle:
            unclick(result)
    # An untimed click becomes known by a session that is no more.
    return "u1", middle - 1e-6


ALTERATIONS = [
    alter_query,
    remove_search,
    alter_browse,
    add_browse,
    alter_browse_dwell,
    alter_search_click_dwell,
    remove_search_click,
    alter_recommendation_dwell,
    remove_recommendation_click,
    delay_click,
    remove_untimed_click,
    alter_untimed_dwell,
    cut_the_end,
]
