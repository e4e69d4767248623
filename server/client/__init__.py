"""The Python client: commands, queries and live events, over a WebSocket or an event stream."""

from server.client.connections import Closed
from server.client.live import Client, Event
from server.client.replica import Gap, Replica
from server.client.rest import Answer, Rest, SignedIn

__all__ = ["Answer", "Client", "Closed", "Event", "Gap", "Replica", "Rest", "SignedIn"]
