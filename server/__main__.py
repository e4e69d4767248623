"""``python -m server``: the command line."""

from server.app.cli import app

app()
