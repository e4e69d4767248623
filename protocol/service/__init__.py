"""Services: commands, events, facts, rows, terms and views."""
