"""The alert rules and the dashboard of ``deploy/`` fit the metrics that a fresh server serves."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.server import Site

DEPLOY = Path(__file__).parents[2] / "deploy"
ALERTS = DEPLOY / "prometheus" / "alerts.yml"
ALERTS_TEST = DEPLOY / "prometheus" / "alerts_test.yml"
DASHBOARD = DEPLOY / "grafana" / "guildwire.json"
PROMTOOL = shutil.which("promtool")
PROMTOOL_TIMEOUT_S = 300
METRIC = re.compile(r"\b(?:guildwire|process)_[a-z_]+\b")
HISTOGRAM_SERIES = ("_bucket", "_count", "_sum")

with_promtool = pytest.mark.skipif(PROMTOOL is None, reason="promtool of the package prometheus is not installed")


def expressions_of_dashboard() -> list[str]:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", [])]


async def families(site: Site) -> dict[str, str]:
    """Name → kind, of every family on the page."""
    page = (await site.request("GET", "/metrics")).body.decode()
    return dict(re.findall(r"^# TYPE (\S+) (\S+)$", page, re.MULTILINE))


def missing(text: str, known: dict[str, str]) -> set[str]:
    """The metrics that a text names and that no family has."""
    series = {
        f"{name}{suffix}" for name, kind in known.items() for suffix in ("", *HISTOGRAM_SERIES * (kind == "histogram"))
    }
    return set(METRIC.findall(text)) - series


async def test_each_metric_of_an_alert_rule_exists_on_a_fresh_server(server: Site) -> None:
    rules = ALERTS.read_text()

    assert len(METRIC.findall(rules)) > 10
    assert missing(rules, await families(server)) == set()


async def test_each_metric_of_the_dashboard_exists_on_a_fresh_server(server: Site) -> None:
    expressions = expressions_of_dashboard()

    assert len(expressions) > 30
    assert missing("\n".join(expressions), await families(server)) == set()


async def test_each_metric_of_the_manual_exists_and_each_metric_is_in_the_manual(server: Site) -> None:
    manual = (DEPLOY.parent / "docs" / "operations.md").read_text()
    table = set(re.findall(r"^\| `((?:guildwire|process)_[a-z_]+)` \|", manual, re.MULTILINE))

    assert table == set(await families(server))


def test_each_alert_is_fired_by_a_test() -> None:
    alerts = re.findall(r"- alert: (\w+)", ALERTS.read_text())

    assert set(re.findall(r'alertname="(\w+)"', ALERTS_TEST.read_text())) == set(alerts)
    assert len(set(alerts)) == len(alerts)


@with_promtool
def test_each_alert_fires_when_it_should_and_only_then() -> None:
    assert PROMTOOL is not None
    done = subprocess.run(
        [PROMTOOL, "test", "rules", ALERTS_TEST.name],
        cwd=ALERTS_TEST.parent,
        capture_output=True,
        text=True,
        timeout=PROMTOOL_TIMEOUT_S,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr


@with_promtool
def test_each_expression_of_the_dashboard_is_valid(tmp_path: Path) -> None:
    assert PROMTOOL is not None
    rules = [
        {"record": f"panel:{number}", "expr": expression.replace("$__rate_interval", "5m")}
        for number, expression in enumerate(expressions_of_dashboard())
    ]
    path = tmp_path / "dashboard.yml"
    path.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))

    done = subprocess.run([PROMTOOL, "check", "rules", path], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
