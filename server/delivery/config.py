"""The sections of the configuration that delivery reads."""

from typing import Annotated, Literal, Protocol

from email_validator import EmailNotValidError, validate_email
from msgspec import Meta

from protocol.delivery.terms import ATTEMPTS_MAX
from server.edge.config import ConfigError, DevConfig, HttpUrl, Section, ServerConfig, is_loopback

#: 0: unlimited.
PerSecond = Annotated[float, Meta(ge=0)]


class EmailConfig(Section, frozen=True, kw_only=True):
    """[email]: the mail server."""

    #: Empty: no e-mail; in development the mailbox stores it instead.
    host: str = ""
    port: Annotated[int, Meta(ge=1, le=65535)] = 587
    #: Encryption of the connection: ``starttls`` (usually port 587), ``tls`` from the start (465), or ``none``.
    security: Literal["starttls", "tls", "none"] = "starttls"
    #: File with the trusted certificates; empty: the system's.
    ca_path: str = ""
    #: Empty: no authentication.
    username: str = ""
    password: str = ""
    #: The sender of e-mails.
    from_address: str = ""
    from_name: str = "Guildwire"

    def check(self) -> None:
        """Check the sender, and that no password travels in clear text. Raises: ConfigError."""
        if not self.host:
            return
        try:
            validate_email(
                self.from_address, check_deliverability=False, globally_deliverable=False, test_environment=True
            )
        except EmailNotValidError as error:
            raise ConfigError("email.from_address: not an address; e-mails need a sender") from error
        if self.username and self.security == "none" and not is_loopback(self.host):
            raise ConfigError(
                f"email.security: the password would go to {self.host} as clear text;"
                " use starttls or tls, or no username"
            )


class PushConfig(Section, frozen=True, kw_only=True):
    """[push]: messages to phones and browsers."""

    #: The file with a Firebase service account, as the console creates it. Empty: no push to phones; in development
    #: the mailbox stores it instead.
    fcm_credentials: str = ""
    #: The operator's contact for push services: mailto: or https:; empty: the public URL, if it is https.
    vapid_subject: Annotated[str, Meta(pattern=r"^((mailto:|https://).+)?$(?!\n)")] = ""
    #: Allow push services at private addresses and without TLS.
    private_endpoints: bool = False


class SmsConfig(Section, frozen=True, kw_only=True):
    """[sms]: short messages by Twilio."""

    #: Empty: no SMS; in development the mailbox stores them instead.
    account_sid: Annotated[str, Meta(pattern=r"^(AC[0-9a-f]{32})?$(?!\n)")] = ""
    auth_token: str = ""
    #: The sender: a number in E.164, or a Messaging Service, which takes precedence.
    from_number: Annotated[str, Meta(pattern=r"^(\+[0-9]{5,15}|[A-Za-z0-9 ]{1,11})?$(?!\n)")] = ""
    messaging_service_sid: Annotated[str, Meta(pattern=r"^(MG[0-9a-f]{32})?$(?!\n)")] = ""
    #: Another region, such as https://api.dublin.ie1.twilio.com; empty: https://api.twilio.com.
    base_url: HttpUrl = ""
    #: Countries whose numbers get codes, such as DE; empty: all. Each SMS costs, and some numbers earn money by it.
    countries: tuple[Annotated[str, Meta(pattern=r"^[A-Z]{2}$(?!\n)")], ...] = ()
    #: The WhatsApp sender's number; empty: no WhatsApp.
    whatsapp_from: Annotated[str, Meta(pattern=r"^(\+[0-9]{5,15})?$(?!\n)")] = ""
    #: The approved template with the text as its only variable. Empty: free text, allowed within a day of a reply only.
    whatsapp_content_sid: Annotated[str, Meta(pattern=r"^(HX[0-9a-f]{32})?$(?!\n)")] = ""

    def check(self) -> None:
        """Check that there are a token and a sender. Raises: ConfigError."""
        if not self.account_sid:
            return
        if not self.auth_token:
            raise ConfigError("sms.auth_token: is missing; Twilio asks for it, and signs with it")
        if not (self.from_number or self.messaging_service_sid):
            raise ConfigError("sms.from_number: messages need a sender; set it, or sms.messaging_service_sid")


class DeliveriesConfig(Section, frozen=True, kw_only=True):
    """[deliveries]: the delivery workers."""

    #: Concurrent calls to one provider; one more is reserved for critical deliveries.
    at_once: Annotated[int, Meta(ge=1, le=64)] = 4
    #: Messages a second of this node, as the provider's contract allows; 0: unlimited.
    email_per_s: PerSecond = 20.0
    push_per_s: PerSecond = 500.0
    web_push_per_s: PerSecond = 200.0
    sms_per_s: PerSecond = 10.0
    whatsapp_per_s: PerSecond = 10.0
    #: Attempts after which a delivery is dead; an admin can replay it.
    attempts_max: Annotated[int, Meta(ge=1, le=1000)] = ATTEMPTS_MAX
    #: After this the leases of a dead server expire; half of it is a provider's time to respond.
    lease_s: Annotated[int, Meta(ge=4, le=3600)] = 120


class DeliverySections(Protocol):
    """The sections that delivery is opened with; the whole configuration has them."""

    @property
    def server(self) -> ServerConfig: ...

    @property
    def dev(self) -> DevConfig: ...

    @property
    def deliveries(self) -> DeliveriesConfig: ...

    @property
    def email(self) -> EmailConfig: ...

    @property
    def push(self) -> PushConfig: ...

    @property
    def sms(self) -> SmsConfig: ...
