"""The runtime's bounds, all in one place."""

#: Commands that wait for one actor.
MAILBOX_MAX = 256
#: Decisions of one actor that are on their way to the database.
PIPELINE_MAX = 64
#: Times a command is decided again because its actor had moved on.
RERUNS_MAX = 32
#: Activations kept in memory; the least recently used idle ones go first.
ACTIVATIONS_MAX = 20_000
#: An activation idle for longer goes even when there is room.
IDLE_S = 300.0
#: How often they are looked for.
PASSIVATE_EVERY_S = 60.0
#: How many questions one round of a batched look-up takes.
LOOKUP_MAX = 256
#: Rounds of one look-up under way at once.
LOOKUPS_AT_ONCE = 2
#: Commands under way in the whole process.
IN_FLIGHT_MAX = 20_000
#: How long a retry waits for the first of its id before it is told to come again.
RETRY_WAIT_S = 2.0
#: Retries that wait for one command.
WAITING_RETRIES_MAX = 16
#: Tries of an agenda command that crashes its actor, before it is put in quarantine.
CRASHES_MAX = 5
#: An actor's state, as JSON; about 2 KB is the aim.
STATE_BYTES_MAX = 32_768
#: How long a stop waits for commands under way; what has no answer by then is cut, and named in the log.
DRAIN_TIMEOUT_S = 30.0

#: The agenda: how far ahead the clock loads, how often it looks, how many rows at once.
HORIZON_S = 120.0
SCAN_EVERY_S = 30.0
SWEEP_EVERY_S = 5.0
SCAN_PAGE = 500
#: Timers that the clock knows at once, those due soonest; it learns of more when half of them have fired.
CLOCK_JOBS_MAX = 5_000
#: The clock rings no more often than this; one alarm takes everything that is due.
CLOCK_TICK_S = 0.01
#: Alarms that may ring into each other before one is dropped.
ALARMS_MAX = 100
#: Rows that are fired at once; the sweeper waits with the others.
FIRING_MAX = 1_000
#: A due row is left to whoever scheduled it for this long before a sweeper takes it.
SWEEP_GRACE_S = 2.0
