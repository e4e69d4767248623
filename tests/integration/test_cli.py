"""The command line says what is wrong in a line, and by its exit code."""

from typer.testing import CliRunner

from server.cli import app


def test_a_demo_without_a_server_says_so() -> None:
    result = CliRunner().invoke(app, ["demo", "--url", "http://127.0.0.1:1/"])

    assert result.exit_code == 1
    assert "unavailable: http://127.0.0.1:1" in result.output
