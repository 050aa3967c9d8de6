"""The pages in a real headless browser, Chromium of the system; it writes the screenshots.

    USER_TF_SCREENSHOTS=docs/images USER_TF_EXPLORED=work/quickstart \\
        python -m pytest tests/user_tf/explore/browser_test.py

writes those of docs/explore.md from what `make quickstart` made. Otherwise the small log of this folder is
explored, and the pictures go to a temporary folder.
"""

import contextlib
import os
import pathlib
import re
import shutil
import threading
import time

import pytest
from werkzeug.serving import make_server

from user_tf.explore.exploration import open_exploration
from user_tf.explore.site import make_site

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
PHONE = {"width": 390, "height": 844}
SCREEN = {"width": 1280, "height": 900}
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
MOST_SECONDS = 2.0


@pytest.fixture(name="explored", scope="module")
def _explored(request):
    """Open the work folder that the environment names, or this folder's log and runs."""
    work = os.environ.get("USER_TF_EXPLORED")
    if not work:
        return request.getfixturevalue("exploration")
    root = pathlib.Path(work)
    runs = [str(root / name) for name in ("run", "user_plus")]
    return open_exploration(runs, str(root / "model"), [str(root / "log")])


@pytest.fixture(name="address", scope="module")
def _address(explored):
    """Serve the site in a thread; return its address."""
    server = make_server("127.0.0.1", 0, make_site(explored, ["127.0.0.1"]), threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()


playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
expect = playwright.expect


@pytest.fixture(name="browser", scope="module")
def _browser():
    if not CHROMIUM:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(name="shoot")
def _shoot(tmp_path):
    """Return a function that takes a picture of a page."""
    folder = pathlib.Path(os.environ.get("USER_TF_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)

    def shoot(page, name):
        page.screenshot(path=folder / f"explore_{name}.png")
        assert (folder / f"explore_{name}.png").stat().st_size > 5000

    return shoot


@contextlib.contextmanager
def opened(browser, address, viewport=SCREEN, scheme="light"):
    """Open a page that fails the test if a script fails or anything else is fetched."""
    context = browser.new_context(viewport=viewport, color_scheme=scheme, reduced_motion="reduce")
    page = context.new_page()
    wrong = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda entry: wrong.append(entry.text) if "Policy" in entry.text else None)
    page.on(
        "request",
        lambda asked: (
            wrong.append(asked.url) if not asked.url.startswith((address, "data:")) else None
        ),
    )
    yield page
    context.close()
    assert wrong == []


def load(page, url):
    """Load a page; return the seconds it took."""
    began = time.perf_counter()
    assert page.goto(url, wait_until="load").status == 200
    return time.perf_counter() - began


def titles(page):
    return [text.strip() for text in page.locator("#answer .title").all_inner_texts()]


def scores(page):
    return page.locator("#answer .end").all_inner_texts()


def assert_fits(page):
    """Check that nothing is wider than the screen: a phone needs no sideways scrolling."""
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def search_target(explored):
    """Return the search with the longest list of behaviors, among those that count."""
    targets = explored.catalogue.targets("test")
    rows = (targets.task == 2) & (targets.labels.sum(axis=1) == 1)
    past = targets.slices["past_behaviors"] * rows
    chosen = sorted(range(len(past)), key=lambda row: -int(past[row]))[:9]
    return explored.catalogue.find(int(targets.target_id[chosen[-1]]))


def test_targets_are_chosen_and_shown_with_rankings_reasons_and_past(
    browser, address, explored, shoot
):
    target = search_target(explored)
    explored.rankers["user"].rank(target)
    with opened(browser, address) as page:
        assert load(page, address) < MOST_SECONDS
        page.get_by_label("Order").select_option("newest")
        page.get_by_role("button", name="Choose").or_(
            page.get_by_role("button", name="Draw others")
        ).click()
        assert "order=newest" in page.url and page.locator(".rows a[href^='/target']").count() > 5
        shoot(page, "targets")
        url = f"{address}/target/{target.target_id}"
        page.goto(url)
        assert load(page, url) < MOST_SECONDS
        assert target.query in page.locator("h1").inner_text()
        user = page.get_by_role("region", name="user", exact=True)
        user.locator("summary").first.click()
        assert user.locator(".parts").first.is_visible()
        shoot(page, "target")
        assert page.locator(".heat").count() > 3 and page.locator(".session").count() > 0
        page.evaluate("document.querySelector('.two').scrollIntoView()")
        shoot(page, "past")
    with opened(browser, address, PHONE, "dark") as page:
        for path in ("/", f"/target/{target.target_id}", "/evaluations"):
            load(page, address + path)
            assert_fits(page)
        load(page, f"{address}/target/{target.target_id}")
        shoot(page, "phone_dark")


def test_a_question_is_asked_with_the_keyboard_and_its_history_edited(
    browser, address, explored, shoot
):
    target = search_target(explored)
    with opened(browser, address) as page:
        assert load(page, f"{address}/ask") < MOST_SECONDS
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.locator("#candidates").focus()
        page.keyboard.insert_text("Boot\nSock")
        page.locator("#query").focus()
        page.keyboard.insert_text("Boot")
        page.locator("#answer .title").first.wait_for()
        assert sorted(titles(page)) == ["Boot", "Sock"]

        assert load(page, f"{address}/ask?target={target.target_id}") < MOST_SECONDS
        rows, remove = page.locator(".past li"), page.get_by_role("button", name="Remove")
        first, count = scores(page), rows.count()
        assert titles(page) and count > 3
        while scores(page) == first:
            remove.last.focus()
            page.keyboard.press("Enter")
            count -= 1
            expect(rows).to_have_count(count)
            expect(remove.last).to_be_focused()
        before = scores(page)
        page.get_by_role("button", name="Add a browse").click()
        expect(rows).to_have_count(count + 1)
        page.keyboard.insert_text(titles(page)[-1])
        expect(page.locator(".weight")).to_have_count(count + 1)
        assert scores(page) != before
        page.evaluate("scrollTo(0, 0)")
        shoot(page, "ask")
        page.locator("#candidates").fill("")
        problem = page.locator("#answer .problem")
        problem.wait_for()
        assert re.match(r"`candidates` must .*Got.*Fix:", problem.inner_text())
        shoot(page, "mistake")
        if explored.served.manifest["tasks"] == ["search"]:
            page.locator("#candidates").fill("Boot")
            page.locator("#query").fill("")
            expect(problem).to_contain_text("trained for search only")


def test_evaluations_are_compared_and_lead_to_a_target(browser, address, shoot):
    with opened(browser, address) as page:
        assert load(page, f"{address}/evaluations") < MOST_SECONDS
        assert_fits(page)
        assert page.locator(".histogram li").count() == 21
        shoot(page, "evaluations")
        page.locator("td a").first.click()
        page.wait_for_url("**/target/**")
        assert page.locator(".column").count() == 2
