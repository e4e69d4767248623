"""How Guildwire is reached (HTTP, WebSocket, adapters), and the one place where its parts are wired together."""
