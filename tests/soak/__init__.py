"""``make soak``: a long run of a real server with simulated users on bad networks, while faults are injected."""
