"""Push messages: how they are made, and the two ways in which they go out."""
