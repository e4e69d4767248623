"""How the outside reaches Guildwire (HTTP, WebSocket, adapters), and the one place where the parts are wired together."""
