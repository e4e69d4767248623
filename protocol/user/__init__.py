"""Users: commands, events, rows, terms and views."""
