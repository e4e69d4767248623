"""Hypothesis strategies: notification preferences and instants."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import strategies as st

from protocol.ids import UserId
from protocol.preference.rows import NotificationPreferences
from protocol.preference.terms import ContactTimes, PartOfDay, QuietHours

ZONES = [
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Asia/Kolkata",
    "America/Havana",
    "Pacific/Chatham",
]

instants = st.one_of(
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)),
    # The nights in which clocks change somewhere.
    *[
        st.datetimes(near - timedelta(hours=30), near + timedelta(hours=30))
        for near in (datetime(2026, 3, 8), datetime(2026, 3, 29), datetime(2026, 4, 5), datetime(2026, 10, 4))
    ],
    *[
        st.datetimes(near - timedelta(hours=30), near + timedelta(hours=30))
        for near in (datetime(2026, 10, 25), datetime(2026, 11, 1))
    ],
).map(lambda at: at.replace(tzinfo=UTC))
clock_times = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.sampled_from([0, 1, 15, 30, 45, 59]))
quiet_hours = st.builds(QuietHours, clock_times, clock_times).filter(lambda quiet: quiet.from_time != quiet.until_time)
parts = st.lists(st.sampled_from(list(PartOfDay)), max_size=4).map(tuple)
preferences_of_all_kinds = st.builds(
    NotificationPreferences,
    user_id=st.just(UserId(UUID(int=1))),
    zone=st.sampled_from(ZONES),
    quiet_hours=st.none() | quiet_hours,
    contact_times=st.none() | st.builds(ContactTimes, parts, parts),
    digest_hour=st.integers(0, 23),
)
