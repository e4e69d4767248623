"""The section of the configuration that accounts read."""

from server.edge.config import ConfigError, Seconds, Section


class AuthConfig(Section, frozen=True, kw_only=True):
    """[auth]: lifetimes of tokens."""

    access_token_s: Seconds = 600
    refresh_token_s: Seconds = 30 * 24 * 3600

    def check(self) -> None:
        """Check the lifetimes against each other. Raises: ConfigError."""
        if self.refresh_token_s <= self.access_token_s:
            raise ConfigError("auth.refresh_token_s: must be longer than auth.access_token_s")
