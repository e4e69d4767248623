"""The devices that receive a user's push messages.

A device:   register ──▶ known ◀── register again
                          │ └── removed, displaced, registered by another user, unknown to the service ──▶ forgotten
                          └── its session has ended ──▶ dropped
"""

from base64 import urlsafe_b64decode

from actors.actor import Actor, applies, derives, handles
from actors.rules.public_urls import endpoint_problem
from actors.user.state import Device, Devices, UserState
from protocol.device.commands import ForgetDevice, RegisterDevice, RemoveDevice
from protocol.device.events import DeviceForgotten, DeviceRegistered
from protocol.device.facts import DeviceFacts
from protocol.device.rows import DeviceRow
from protocol.device.terms import DEVICES_MAX, ForgetReason, Platform, PushSubscription, address_hash
from protocol.device.views import DeviceReply
from protocol.errors import Invalid, NotFound, Unauthenticated
from protocol.ids import DeviceId, Kind, Ref, UserId

#: Bytes of a subscription's keys.
_POINT_BYTES = 65
_SECRET_BYTES = 16


#: This part of the state.
FIELD = "devices"


def _address_hash(user: Actor[UserState], command: RegisterDevice) -> str | None:
    """The hash of a device's address; None: the command names no address and is refused."""
    address = command.subscription.endpoint if command.subscription is not None else command.token
    return None if address is None else address_hash(address)


@handles(RegisterDevice, facts=DeviceFacts, asks=_address_hash)
def register_device(user: Actor[UserState], command: RegisterDevice, facts: DeviceFacts) -> DeviceReply:
    """Register a device for push messages. Raises: Invalid, Unauthenticated."""
    address = _address(command, private=facts.private_endpoints)
    session_id = user.principal.session_id
    if session_id is not None and user.state.session(session_id) is None:
        raise Unauthenticated(reason="revoked")
    hashed = address_hash(address)
    known = next((one for one in user.state.devices.known if one.address_hash == hashed), None)
    if facts.holder is not None and facts.holder[0] != user.actor_id:
        _take_over_from(user, *facts.holder)
        if known is not None:  # the other user took over our device of this address; its id is not reused
            _forget(user, known, ForgetReason.MOVED)
            known = None
    if known is None and len(user.state.devices.known) >= DEVICES_MAX:
        _forget(user, min(user.state.devices.known, key=lambda one: one.used_at), ForgetReason.DISPLACED)
    device_id = DeviceId(user.new_id()) if known is None else known.device_id
    user.emit(
        DeviceRegistered(
            device_id=device_id,
            platform=command.platform,
            address_hash=hashed,
            session_id=session_id,
            at=user.now,
        ),
        to=(),
    )
    _put_device(user, device_id, address, command.subscription)
    return DeviceReply(device_id=device_id)


@handles(RemoveDevice)
def remove_device(user: Actor[UserState], command: RemoveDevice) -> None:
    """Remove a device. Raises: NotFound."""
    device = user.state.devices.find(command.device_id)
    if device is None:
        raise NotFound(entity="device", id=str(command.device_id))
    _forget(user, device, ForgetReason.BY_USER)


@handles(ForgetDevice)
def forget_device(user: Actor[UserState], command: ForgetDevice) -> None:
    """Forget a device that another user registered, or that its push service does not know."""
    device = user.state.devices.find(command.device_id)
    if device is not None:
        _forget(user, device, command.reason)


@applies(DeviceRegistered)
def _registered(devices: Devices, event: DeviceRegistered) -> Devices:
    before = devices.find(event.device_id)
    device = Device(
        device_id=event.device_id,
        platform=event.platform,
        address_hash=event.address_hash,
        session_id=event.session_id,
        registered_at=event.at if before is None else before.registered_at,
        used_at=event.at,
    )
    return Devices((*(one for one in devices.known if one.device_id != event.device_id), device))


@applies(DeviceForgotten)
def _forgotten(devices: Devices, event: DeviceForgotten) -> Devices:
    return Devices(tuple(one for one in devices.known if one.device_id != event.device_id))


@derives
def drop_rows(user: Actor[UserState], before: UserState | None) -> None:
    """Drop the rows of devices that the turn removed from the state, such as those of an ended session."""
    for device in () if before is None else before.devices.known:
        if user.state.devices.find(device.device_id) is None:
            user.drop(DeviceRow.table, device_id=device.device_id)


def _forget(user: Actor[UserState], device: Device, reason: ForgetReason) -> None:
    user.emit(DeviceForgotten(device_id=device.device_id, reason=reason))


def _take_over_from(user: Actor[UserState], user_id: UserId, device_id: DeviceId) -> None:
    """Send ForgetDevice to the former user of the address; this commit takes over the row itself."""
    forget = ForgetDevice(user_id=user_id, device_id=device_id, reason=ForgetReason.MOVED)
    user.send(Ref(Kind.USER, user_id), forget)


def _put_device(
    user: Actor[UserState], device_id: DeviceId, address: str, subscription: PushSubscription | None
) -> None:
    device = user.state.devices.find(device_id)
    assert device is not None
    user.put(
        DeviceRow(
            address_hash=device.address_hash,
            device_id=device_id,
            user_id=UserId(user.actor_id),
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
    """The checked address of the device. Raises: Invalid."""
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
    """Decode base64url, padded or not; returns b"" for any other text."""
    bare = text.rstrip("=")
    if not bare.replace("-", "").replace("_", "").isalnum() or not bare.isascii():
        return b""
    try:
        return urlsafe_b64decode(bare + "=" * (-len(bare) % 4))
    except ValueError:
        return b""
