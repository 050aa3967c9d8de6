"""Do the relational steps of preparation in straightforward pandas, for comparison.

    python -m benchmarks.peers.pandas_steps LOG

Numbers users, documents and texts, unnests the lists, cuts sessions at gaps of 30 minutes, finds
behaviors, satisfied clicks and valid targets of a simulated log: what `data_pipeline.prepare` does
in its steps log, sessions and targets, as one would write it first.
"""

import pathlib
import sys

import pandas as pd


def relational_steps(folder: pathlib.Path) -> dict[str, int]:
    """Do the steps and return their counts."""
    documents = pd.read_parquet(folder / "documents.parquet")
    requests = pd.read_parquet(folder / "requests.parquet")
    for name in ("user_id", "query"):
        requests[name] = requests[name].astype("category").cat.codes
    requests = requests.sort_values(["user_id", "time", "request_id"], ignore_index=True)
    number = pd.Series(range(len(documents)), index=documents["doc_id"].sort_values())

    shown = requests[["user_id", "time", "query", "results"]].explode("results")
    places = pd.DataFrame(shown["results"].tolist(), index=shown.index)
    shown = shown.drop(columns="results").join(places.reset_index(drop=True).set_axis(shown.index))
    shown["doc"] = shown["doc_id"].map(number)
    dwell = shown["dwell_seconds"]
    shown["satisfied"] = shown["clicked"] & (dwell.isna() | (dwell > 30))

    empty = requests.loc[requests["query"] == 0]
    clicks = shown.loc[shown["clicked"]]
    read = clicks.loc[clicks["query"] == 0]
    moments = pd.concat(
        [requests[["user_id", "time"]], read[["user_id"]].assign(time=read["click_time"])]
    ).drop_duplicates()
    moments = moments.sort_values(["user_id", "time"], ignore_index=True)
    gap = moments.groupby("user_id")["time"].diff() > pd.Timedelta(minutes=30)
    first = moments["user_id"] != moments["user_id"].shift()
    moments["session"] = (gap | first).cumsum()
    requests = requests.merge(moments, on=["user_id", "time"])

    sizes = shown.groupby(level=0)["satisfied"].agg(["size", "sum"])
    valid = (sizes["sum"] > 0) & (sizes["sum"] < sizes["size"])
    return {
        "sessions": int(moments["session"].max()),
        "behaviors": len(requests) - len(empty) + len(read),
        "targets": int(valid.sum()),
    }


if __name__ == "__main__":
    print(relational_steps(pathlib.Path(sys.argv[1])))
