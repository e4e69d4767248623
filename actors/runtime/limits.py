"""The runtime's bounds, all in one place."""

#: Commands that wait for one actor.
MAILBOX_MAX = 256
#: Decisions of one actor that are being committed.
PIPELINE_MAX = 64
#: Reruns of one command.
RERUNS_MAX = 32
#: Activations in memory; past this, the one idle for longest is evicted.
ACTIVATIONS_MAX = 20_000
#: An activation idle for longer is dropped in any case.
IDLE_S = 300.0
#: How often idle activations are dropped.
PASSIVATE_EVERY_S = 60.0
#: Keys in one batch of a look-up.
LOOKUP_MAX = 256
#: Concurrent batches of one look-up.
LOOKUPS_AT_ONCE = 2
#: Commands without a reply in the whole process.
IN_FLIGHT_MAX = 20_000
#: How long a retry waits for the first command of its id before it is refused with InFlight.
RETRY_WAIT_S = 2.0
#: Retries that wait for one command.
WAITING_RETRIES_MAX = 16
#: Crashes of an agenda command before it is moved to quarantine.
CRASHES_MAX = 5
#: Bytes of an actor's state as JSON; typical states have about 2 KB.
STATE_BYTES_MAX = 32_768
#: How long a stop waits for commands without a reply; the log names what is left then.
DRAIN_TIMEOUT_S = 30.0

#: The agenda: how far ahead it loads rows, how often it scans and sweeps, and rows of one page.
HORIZON_S = 120.0
SCAN_EVERY_S = 30.0
SWEEP_EVERY_S = 5.0
SCAN_PAGE = 500
#: Timers held in memory, the ones due soonest; more are loaded when half of them have fired.
CLOCK_JOBS_MAX = 5_000
#: The shortest time between two wake-ups; each one fires all due rows.
CLOCK_TICK_S = 0.01
#: Wake-ups that may overlap before one is dropped.
ALARMS_MAX = 100
#: Rows being fired at once; the sweep waits while there are as many.
FIRING_MAX = 1_000
#: How long a due row is left to the node that scheduled it before a sweep fires it.
SWEEP_GRACE_S = 2.0
