"""What can be said: commands, queries, events, views and errors as msgspec structs."""
