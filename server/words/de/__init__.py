"""German: how it writes instants and unknown names. Each noun has a module of texts here."""

from server.words.texts import Formats

FORMATS = Formats(
    code="de",
    moment_pattern="EEEE, d. MMMM, HH:mm 'Uhr'",
    day_pattern="EEEE, d. MMMM yyyy",
    time_pattern="HH:mm",
    timeline_pattern="EEEE, d. MMMM yyyy, HH:mm",
    quoted="„{}“",
    someone="Jemand",
)
