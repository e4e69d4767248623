"""The Python client: commands, queries and live events over one WebSocket, with REST as the fallback."""

from server.client.live import Client, Closed, Event
from server.client.replica import Gap, Replica
from server.client.rest import Answer, Rest, SignedIn

__all__ = ["Answer", "Client", "Closed", "Event", "Gap", "Replica", "Rest", "SignedIn"]
