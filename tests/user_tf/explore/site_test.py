"""The pages, through Flask's own client."""

import re

import pytest

from user_tf.explore.site import POLICY, make_site


def text_of(response):
    body = re.sub(r"<style>.*?</style>|<script>.*?</script>", "", response.text, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body))


def ids_of(response):
    return [int(found) for found in re.findall(r'href="/target/(\d+)', response.text)]


def test_targets_are_chosen_by_task_user_slice_and_order(client, exploration, targets):
    response = client.get("/?task=search&order=random&seed=3")
    assert response.status_code == 200 and len(ids_of(response)) > 10
    assert ids_of(response) != ids_of(client.get("/?task=search&order=random&seed=4"))
    target = targets["search"][0]
    mine = ids_of(client.get(f"/?task=search&order=newest&user={target.user_id}"))
    assert target.target_id in mine
    assert {exploration.catalogue.find(number).user_id for number in mine} == {target.user_id}
    worst = client.get("/?task=search&order=worst+ranked")
    values = [float(found) for found in re.findall(r"</small> (\d\.\d\d)</span>", worst.text)[::2]]
    assert values == sorted(values) and values
    sliced = client.get("/?task=search&order=newest&part=repeated+query")
    rows = exploration.catalogue.slices("test", "search")["repeated query"]
    assert f"{rows.sum():,} search targets" in text_of(sliced)


def test_a_target_shows_past_list_rankings_and_reasons(client, targets, exploration):
    target = targets["search"][0]
    response = client.get(f"/target/{target.target_id}?all=1")
    text = text_of(response)
    assert response.status_code == 200 and target.query in text
    titles = exploration.log.titles(target.candidates)
    assert all(text.count(title) >= 4 for title in titles.values())
    assert text.count(" clicked ") >= sum(target.labels) * 4
    for name in ("original order", "user", "user_plus", "most recently touched"):
        assert f"<h3>{name}</h3>" in response.text
    assert "others" in text and "cos(I_s, r_D)" in text
    assert "Below them is what single behaviors did" in text
    assert "Lost without a past behavior" in text and "by aspect " in text
    assert "<h3>nrms-r</h3>" not in response.text
    past = exploration.sessions(target)
    assert text.count("session ") >= len(past) > 1
    events = [event for session in past for event in session.events]
    assert all(event.query in text for event in events)
    assert any(click.title in text for event in events for click in event.clicks)
    assert "Attention over past behaviors" in text and "past sessions" in text
    fewer = client.get(f"/target/{target.target_id}?with=user&with=nrms-r")
    assert "<h3>user</h3>" in fewer.text and "<h3>user_plus</h3>" not in fewer.text
    assert "`run` must be trained on search" in text_of(fewer)


def test_a_recommendation_is_ranked_by_runs_of_its_task(client, targets):
    text = text_of(client.get(f"/target/{targets['recommendation'][0].target_id}"))
    assert "nrms-r gives no parts of its scores" in text and "must be trained" not in text


def test_without_a_log_the_past_is_that_of_the_windows(bare, targets):
    target = targets["search"][0]
    text = text_of(make_site(bare).test_client().get(f"/target/{target.target_id}"))
    assert "start the explorer with --log" in text and "Change it and ask again" not in text
    assert text.count("past sessions") >= 1


def test_a_question_is_answered_and_follows_its_history(client):
    form = {
        "query": "Boot",
        "session": "1",
        "candidates": "Boot\nCap",
        "kind-0": "browse",
        "session-0": "1",
        "text-0": "Cap",
    }
    order = r'<span class="title">(\w+)'
    first = client.post("/ask", data=form)
    assert first.status_code == 200 and re.findall(order, first.text) == ["Cap", "Boot"]
    before = {"before": '["Cap", "Boot"]'}
    second = client.post("/ask", data=form | before | {"action": "remove-0"})
    assert re.findall(order, second.text) == ["Boot", "Cap"]
    assert "was 2" in second.text and 'name="kind-0"' not in second.text
    added = client.post("/ask", data=form | {"action": "add-search"})
    assert 'name="kind-1" value="search"' in added.text


def test_a_question_starts_from_a_target(client, targets, exploration):
    target = targets["search"][0]
    response = client.get(f"/ask?target={target.target_id}")
    assert response.status_code == 200 and f'value="{target.query}"' in response.text
    for title in exploration.log.titles(target.candidates).values():
        assert title in response.text


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"query": "a", "candidates": ""}, "`candidates` must be a list of at least 1 title"),
        ({"query": "", "candidates": "Cap"}, "trained for search only"),
    ],
)
def test_a_mistake_in_a_question_is_a_sentence_beside_the_form(client, form, message):
    response = client.post("/ask", data=form)
    assert response.status_code == 400 and 'id="candidates"' in response.text
    text = text_of(response)
    assert message in text and "Fix:" in text


def test_evaluations_are_compared_and_linked_to_their_targets(client):
    response = client.get("/evaluations?task=search&second=original+order")
    text = text_of(response)
    assert response.status_code == 200 and "user is better on" in text
    assert response.text.count("<li class=") == 21
    linked = ids_of(response)
    assert linked and client.get(f"/target/{linked[0]}").status_code == 200


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("/?order=by+name", "`order` must be one of random"),
        ("/?part=nothing", "`part` must be one of"),
        ("/?split=validation&order=worst+ranked", "`order` must be random or newest"),
        ("/?by=hrnn", "`by` must be one of user"),
        ("/?seed=x", "`seed` must be a whole number"),
        ("/target/99999999", "`target` must be a target_id"),
        ("/target/1?with=hrnn", "`with` must be one of"),
        ("/evaluations?split=validation", "user_tf.evaluate"),
        ("/evaluations?task=both", "`task` must be one of search"),
    ],
)
def test_an_address_with_a_mistake_is_answered_by_a_sentence(client, address, message):
    response = client.get(address)
    assert response.status_code == 400
    text = text_of(response)
    assert message in text and "Fix:" in text and "Traceback" not in text


def test_without_a_model_asking_says_what_to_start_with(bare):
    response = make_site(bare).test_client().get("/ask")
    assert response.status_code == 400 and "Fix: start the explorer with --model" in text_of(
        response
    )


def test_no_page_may_load_anything_from_elsewhere(client, targets):
    addresses = ["/", f"/target/{targets['search'][0].target_id}", "/ask", "/evaluations", "/none"]
    for address in addresses:
        response = client.get(address)
        assert response.headers["Content-Security-Policy"] == POLICY
        assert not re.search(r"(?:src|href)=\"(?:https?:)?//|@import|url\(", response.text)
    assert "default-src 'none'" in POLICY


def test_other_names_of_the_host_are_refused(exploration):
    client = make_site(exploration, ("127.0.0.1", "localhost")).test_client()
    assert client.get("/", base_url="http://127.0.0.1:8780").status_code == 200
    assert client.get("/", base_url="http://elsewhere.example").status_code == 400


def test_texts_of_a_log_are_escaped(client):
    response = client.post("/ask", data={"query": "<b>x</b>", "candidates": "<script>1</script>"})
    assert "<script>1" not in response.text and "&lt;script&gt;1" in response.text
