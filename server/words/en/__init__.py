"""English: how it writes instants and unknown names. Each noun has a module of texts here."""

from server.words.texts import Formats

FORMATS = Formats(
    code="en",
    moment_pattern="EEEE d MMMM, HH:mm",
    day_pattern="EEEE d MMMM yyyy",
    time_pattern="HH:mm",
    timeline_pattern="EEE d MMMM yyyy, HH:mm",
    quoted="“{}”",
    someone="Somebody",
)
