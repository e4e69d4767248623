"""The protocol: commands, queries, events, views and errors as msgspec structs."""
