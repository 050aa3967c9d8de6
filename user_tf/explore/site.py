"""The pages of the explorer, as a Flask application: links and forms, rendered here.

Everything a page needs is in the page. A policy sent with it forbids any other source, so nothing is
fetched from the network.
"""

import datetime
import json
from collections.abc import Sequence
from typing import Any

import flask
from werkzeug.exceptions import HTTPException

from data_pipeline.common.codes import LABELED_SPLITS, SECOND, TASK_LABELS
from data_pipeline.common.command_line import is_mistake
from data_pipeline.common.html_page import page_environment
from user_tf.explore import served_question, system_differences
from user_tf.explore.exploration import Exploration
from user_tf.explore.ranked_list import rank_items
from user_tf.explore.target_catalogue import ORDERS, Choice, Target, read_map
from user_tf.explore.target_page import describe_rankings, merge_attention

POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_SESSIONS = 5
_FOLDED = 8


def make_site(exploration: Exploration, hosts: Sequence[str] = ()) -> flask.Flask:
    """Return the application.

    Args:
        exploration: What the pages show.
        hosts: Names under which the page may be called; others are refused, so that no other page
            of the browser reads this one. Default: any.
    """
    site = flask.Flask(__name__)
    site.config["TRUSTED_HOSTS"] = list(hosts) or None
    templates = page_environment(__package__)
    templates.filters |= {"time": show_time, "user": show_user, "seconds": show_seconds}
    pages = _Pages(exploration, templates)
    site.add_url_rule("/", view_func=pages.targets)
    site.add_url_rule("/target/<int:target_id>", view_func=pages.target)
    site.add_url_rule("/ask", view_func=pages.ask, methods=["GET", "POST"])
    site.add_url_rule("/evaluations", view_func=pages.evaluations)
    site.register_error_handler(Exception, pages.error)
    site.after_request(_protect)
    return site


def _protect(response: flask.Response) -> flask.Response:
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


class _Pages:
    """One method a page."""

    def __init__(self, exploration: Exploration, templates: Any) -> None:
        self._found = exploration
        self._templates = templates

    def _render(self, template: str, title: str, **values: Any) -> str:
        shown = self._templates.get_template(f"{template}.html.jinja")
        return shown.render(title=title, here=template, **values)

    def targets(self) -> str:
        """Show a choice of targets."""
        given = flask.request.args
        names = ("split", "task", "user", "part", "order")
        catalogue, runs = self._found.catalogue, self._found.runs
        first_split = catalogue.splits[0] if catalogue.splits else LABELED_SPLITS[-1]
        chosen = {"split": str(first_split)} | {
            name: given[name] for name in names if name in given
        }
        choice = Choice(**chosen, seed=_whole(given.get("seed", "1"), "seed"))
        values = {label: read_map(run, choice.split) for label, run in runs.items()}
        by = given.get("by", next(iter(runs)))
        if by not in runs:
            raise _not_one_of("by", by, list(runs))
        count, rows = catalogue.choose(choice, values[by])
        return self._render(
            "targets",
            "Targets",
            choice=choice,
            by=by,
            runs=list(runs),
            splits=catalogue.splits,
            tasks=TASK_LABELS,
            orders=ORDERS,
            parts=list(catalogue.slices(choice.split, choice.task)),
            count=count,
            rows=rows,
            values={label: found for label, found in values.items() if found},
        )

    def target(self, target_id: int) -> str:
        """Show a target: rankings side by side, their reasons, the user's past."""
        found = self._found
        target = found.catalogue.find(target_id)
        of_task = [name for name, r in found.rankers.items() if target.task in r.tasks]
        # Popularity, the last one, is there for who asks.
        given = flask.request.args.getlist("with") or of_task[:-1]
        unknown = [name for name in given if name not in found.rankers]
        if unknown:
            raise _not_one_of("with", unknown[0], list(found.rankers))
        titles = found.titles(target.candidates)
        shown = [titles[document] or document for document in target.candidates]
        columns = describe_rankings([found.rankers[name] for name in given], target, shown)
        sessions = found.sessions(target)
        every = "all" in flask.request.args
        return self._render(
            "target",
            _name(target),
            target=target,
            columns=columns,
            chosen=given,
            rankers=list(found.rankers),
            attention=merge_attention(columns),
            labels=[c.label for c in columns if c.attention],
            sessions=sessions[::-1] if every else sessions[: -_SESSIONS - 1 : -1],
            earlier=0 if every else max(0, len(sessions) - _SESSIONS),
            behaviors=() if found.log else found.behaviors(target),
            has_log=found.log is not None,
            can_ask=found.log is not None and found.served is not None,
        )

    def ask(self) -> tuple[str, int]:
        """Show the form of a question, and the answer of the served model."""
        served = self._found.served
        if served is None:
            raise ValueError(
                "`model` must be given to ask something new. Got none. Fix: start the explorer with "
                "--model, a folder made by python -m user_tf.export."
            )
        form, before = flask.request.form, []
        if flask.request.method == "POST":
            question = _edit(served_question.from_form(form), form.get("action", "rank"))
            before = json.loads(form.get("before") or "[]")
        elif "target" in flask.request.args:
            number = _whole(flask.request.args["target"], "target")
            request = self._found.request(self._found.catalogue.find(number))
            question = served_question.from_request(request)
        else:
            question = served_question.Question()
        answer, items, problem = None, [], ""
        if flask.request.method == "POST" or question.candidates:
            try:
                answer = served_question.answer(served, question)
                items = rank_items(
                    answer.candidates,
                    answer.scores,
                    signals=answer.signals,
                    contributions=answer.contributions,
                )
            except ValueError as error:
                if not is_mistake(error):
                    raise
                problem = str(error)
        now = [item.title for item in items]
        page = self._render(
            "ask",
            "Ask something new",
            question=question,
            answer=answer,
            items=items,
            changes=served_question.changes(before, now) if before else {},
            before=json.dumps(now or before),
            problem=problem,
            folded=max(0, len(question.history) - _FOLDED),
            version="/".join(served.version.parts[-2:]),
        )
        return page, 400 if problem else 200

    def evaluations(self) -> str:
        """Show two systems, query by query."""
        given = flask.request.args
        names = ("first", "second", "metric", "part")
        chosen = {name: given[name] for name in names if given.get(name)}
        split = given.get("split", "test")
        task = given.get("task", TASK_LABELS[0])
        if task not in TASK_LABELS:
            raise _not_one_of("task", task, TASK_LABELS)
        compared = system_differences.compare_systems(self._found.runs, split, task, **chosen)
        facts = self._found.catalogue.facts(
            split, [query.target_id for query in (*compared.best, *compared.worst)]
        )
        return self._render(
            "evaluations",
            "Evaluations",
            compared=compared,
            facts=facts,
            rankers=list(self._found.rankers),
            split=split,
            task=task,
            tasks=TASK_LABELS,
            splits=self._found.catalogue.splits,
            metric=chosen.get("metric", "map"),
            metrics=system_differences.METRICS,
            part=chosen.get("part", ""),
            tallest=max(count for _, _, count in compared.histogram),
        )

    def error(self, error: Exception) -> tuple[str, int]:
        """Show an error as a sentence; a defect of the program is raised."""
        if isinstance(error, HTTPException):
            return self._render("message", error.name, text=error.description), error.code or 500
        if not is_mistake(error):
            raise error
        return self._render("message", "This cannot be shown", text=str(error)), 400


def _edit(question: served_question.Question, action: str) -> served_question.Question:
    """Return the question after a button was pressed."""
    verb, _, object_ = action.partition("-")
    if verb == "remove":
        return question.without(_whole(object_, "action"))
    if verb == "add" and object_ in ("search", "browse"):
        return question.with_new(object_)
    return question


def _name(target: Target) -> str:
    return f"“{target.query}”" if target.query else target.task.capitalize()


def _whole(text: str, name: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"`{name}` must be a whole number. Got {text!r}. Fix: write digits only.")
    return int(text)


def _not_one_of(name: str, value: str, known: Sequence[str]) -> ValueError:
    return ValueError(
        f"`{name}` must be one of {', '.join(known)}. Got {value!r}. Fix: choose one from the list."
    )


def show_time(time: int, form: str = "%d %b %Y, %H:%M") -> str:
    """Return a time in UTC.

    Example:
        >>> show_time(1_700_000_000_000_000)
        '14 Nov 2023, 22:13'
    """
    return datetime.datetime.fromtimestamp(time / SECOND, datetime.UTC).strftime(form)


def show_user(user_id: str) -> str:
    """Return the beginning of a masked id, which identifies a user well enough on a page.

    Example:
        >>> show_user("9f86d081884c7d659a2feaa0c55ad015")
        '9f86d081…'
    """
    return user_id if len(user_id) <= 12 else f"{user_id[:8]}…"


def show_seconds(seconds: float | None) -> str:
    """Return a dwell time.

    Example:
        >>> show_seconds(45.2), show_seconds(130.0), show_seconds(None)
        ('45 s', '2 min 10 s', 'dwell unknown')
    """
    if seconds is None:
        return "dwell unknown"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
