"""The part of a user that keeps devices: which ones push messages go to, and for how long.

A device:   register ──▶ known ◀── register again
                          │ └── removed, displaced, registered by somebody else, unknown to its service ──▶ forgotten
                          └── the session that it was registered in is over ──▶ gone with it
"""

from base64 import urlsafe_b64decode
from collections.abc import Iterable

from actors.actor import Actor, handles
from actors.rules.public_urls import endpoint_problem
from actors.user.state import Device, UserState
from protocol.device.commands import ForgetDevice, RegisterDevice, RemoveDevice
from protocol.device.events import DeviceForgotten, DeviceRegistered
from protocol.device.facts import DeviceFacts
from protocol.device.rows import DeviceRow
from protocol.device.terms import DEVICES_MAX, ForgetReason, Platform, PushSubscription, address_hash
from protocol.device.views import DeviceReply
from protocol.errors import Invalid, NotFound, Unauthenticated
from protocol.events import Event, Row
from protocol.ids import DeviceId, Kind, Ref, UserId

#: Bytes of a subscription's keys.
_POINT_BYTES = 65
_SECRET_BYTES = 16


class Devices(Actor[UserState]):
    """What a user decides about their devices."""

    @handles(RegisterDevice, facts=DeviceFacts)
    def register_device(self, command: RegisterDevice, facts: DeviceFacts) -> DeviceReply:
        """A device may be written to from now on. Raises: Invalid, Unauthenticated."""
        address = _address(command, private=facts.private_endpoints)
        session_id = self.principal.session_id
        if session_id is not None and self.state.session(session_id) is None:
            raise Unauthenticated(reason="revoked")
        hashed = address_hash(address)
        known = next((one for one in self.state.devices if one.address_hash == hashed), None)
        if facts.holder is not None and facts.holder[0] != self.actor_id:
            self._take_from(*facts.holder)
            if known is not None:  # what was ours of that address went to somebody else, who is told by its id
                self._forget(known, ForgetReason.MOVED)
                known = None
        if known is None and len(self.state.devices) >= DEVICES_MAX:
            self._forget(min(self.state.devices, key=lambda one: one.used_at), ForgetReason.DISPLACED)
        device_id = DeviceId(self.new_id()) if known is None else known.device_id
        self.emit(
            DeviceRegistered(
                device_id=device_id,
                platform=command.platform,
                address_hash=hashed,
                session_id=session_id,
                at=self.now,
            ),
            to=(),
        )
        self._put_device(device_id, address, command.subscription)
        return DeviceReply(device_id=device_id)

    @handles(RemoveDevice)
    def remove_device(self, command: RemoveDevice) -> None:
        """The user wants no messages on a device any more. Raises: NotFound."""
        device = self.state.device(command.device_id)
        if device is None:
            raise NotFound(entity="device", id=str(command.device_id))
        self._forget(device, ForgetReason.BY_USER)

    @handles(ForgetDevice)
    def forget_device(self, command: ForgetDevice) -> None:
        """A device moved to somebody else, or its service knows it no longer."""
        device = self.state.device(command.device_id)
        if device is not None:
            self._forget(device, command.reason)

    def emit(
        self,
        event: Event,
        *,
        to: Iterable[UserId] | None = None,
        content: Row | None = None,
        content_is_kept: bool = False,
    ) -> None:
        """Let the event have happened; what takes a device from the state, such as its session's end, takes its row."""
        before = self.state.devices if self.exists else ()
        super().emit(event, to=to, content=content, content_is_kept=content_is_kept)
        for device in before:
            if self.state.device(device.device_id) is None:
                self.drop(DeviceRow.table, device_id=device.device_id)

    def _forget(self, device: Device, reason: ForgetReason) -> None:
        self.emit(DeviceForgotten(device_id=device.device_id, reason=reason))

    def _take_from(self, user_id: UserId, device_id: DeviceId) -> None:
        """Tell whoever had the address until now; the row is taken from them in this very commit."""
        forget = ForgetDevice(user_id=user_id, device_id=device_id, reason=ForgetReason.MOVED)
        self.send(Ref(Kind.USER, user_id), forget)

    def _put_device(self, device_id: DeviceId, address: str, subscription: PushSubscription | None) -> None:
        device = self.state.device(device_id)
        assert device is not None
        self.put(
            DeviceRow(
                address_hash=device.address_hash,
                device_id=device_id,
                user_id=UserId(self.actor_id),
                session_id=device.session_id,
                platform=device.platform,
                address=address,
                p256dh=None if subscription is None else subscription.keys.p256dh,
                auth=None if subscription is None else subscription.keys.auth,
                registered_at=device.registered_at,
                used_at=device.used_at,
            )
        )


def _address(command: RegisterDevice, *, private: bool) -> str:
    """Where the device's messages go. Raises: Invalid."""
    token, subscription = command.token, command.subscription
    if command.platform is Platform.FCM:
        if token is None or subscription is not None:
            raise Invalid(token="required" if token is None else "does_not_fit_platform")
        return token
    if subscription is None or token is not None:
        raise Invalid(subscription="required" if subscription is None else "does_not_fit_platform")
    point = _decoded(subscription.keys.p256dh)
    problems = {
        "subscription.endpoint": endpoint_problem(subscription.endpoint, private=private),
        "subscription.keys.p256dh": None if len(point) == _POINT_BYTES and point[0] == 4 else "not_a_p256_point",
        "subscription.keys.auth": None if len(_decoded(subscription.keys.auth)) == _SECRET_BYTES else "not_16_bytes",
    }
    if found := {where: problem for where, problem in problems.items() if problem is not None}:
        raise Invalid(**found)
    return subscription.endpoint


def _decoded(text: str) -> bytes:
    """Bytes from base64url, padded or not; none if it is something else."""
    bare = text.rstrip("=")
    if not bare.replace("-", "").replace("_", "").isalnum() or not bare.isascii():
        return b""
    try:
        return urlsafe_b64decode(bare + "=" * (-len(bare) % 4))
    except ValueError:
        return b""
