"""German."""

from collections.abc import Mapping

KINDS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "greeting": {
        "customer": ("Hallo!", "Hallo, danke für die Nachricht.", "Hallo, schön, von Ihnen zu hören."),
        "provider": (
            "Hallo! Wie kann ich helfen?",
            "Hallo, danke für die Nachricht.",
            "Hallo, schön, von Ihnen zu hören.",
        ),
        "any": ("Hallo!", "Hallo, wie geht es?", "Schön, von Ihnen zu hören."),
    },
    "thanks": {"any": ("Gern geschehen!", "Sehr gerne.", "Das freut mich.")},
    "time": {
        "customer": ("Ja, die Zeit passt mir.", "Ginge es etwas später?", "Ich habe den ganzen Tag Zeit."),
        "provider": (
            "Ich bin zur vereinbarten Zeit da.",
            "Ich schaue in meinen Kalender.",
            "Welche Zeit passt Ihnen am besten?",
        ),
        "any": ("Ich schaue in meinen Kalender.", "Welche Zeit passt Ihnen am besten?", "Ja, die Zeit passt mir."),
    },
    "arrival": {
        "customer": ("Super, bis gleich!", "Ich bin zu Hause, bitte klingeln.", "Wie lange dauert es noch?"),
        "provider": ("Ich bin unterwegs 🚗", "Ich bin in ein paar Minuten da.", "Ich bin gerade angekommen."),
        "any": ("Ich bin unterwegs 🚗", "Bis gleich!", "Wie lange dauert es noch?"),
    },
    "price": {
        "customer": (
            "Das ist in Ordnung für mich.",
            "Können Sie mir die Einzelheiten schicken?",
            "Kommt noch etwas dazu?",
        ),
        "provider": (
            "Es gilt der Preis aus der Buchung.",
            "Zusätzliches kommt nur mit Ihrer Zustimmung dazu.",
            "Ich prüfe das und melde mich.",
        ),
        "any": (
            "Ich prüfe das und melde mich.",
            "Können Sie mir die Einzelheiten schicken?",
            "Das ist in Ordnung für mich.",
        ),
    },
    "place": {
        "customer": ("Die Adresse steht in der Buchung.", "In der Nähe gibt es Parkplätze.", "Bitte klingeln."),
        "provider": (
            "Ich habe die Adresse aus der Buchung.",
            "Wo kann ich parken?",
            "Wo soll ich klingeln?",
        ),
        "any": ("Ich schicke Ihnen die Adresse.", "Wo genau ist das?", "Das finde ich, danke."),
    },
    "late": {
        "customer": (
            "Kein Problem, lassen Sie sich Zeit.",
            "Wie viel später wird es?",
            "Ich verspäte mich auch etwas.",
        ),
        "provider": (
            "Kein Problem, ich warte.",
            "Entschuldigung, ich verspäte mich etwas.",
            "Ich melde mich, wenn ich in der Nähe bin.",
        ),
        "any": (
            "Kein Problem, lassen Sie sich Zeit.",
            "Wie viel später wird es?",
            "Entschuldigung, ich verspäte mich etwas.",
        ),
    },
    "cancel": {
        "customer": ("Können wir den Termin verschieben?", "Das tut mir leid.", "Was wird aus meiner Zahlung?"),
        "provider": (
            "Das tut mir leid.",
            "Wollen wir eine andere Zeit finden?",
            "Sie können in der Buchung absagen.",
        ),
        "any": ("Das tut mir leid.", "Wollen wir eine andere Zeit finden?", "Was ist der Grund?"),
    },
    "problem": {
        "customer": (
            "Könnten Sie bitte noch einmal nachsehen?",
            "Ich schicke Ihnen ein Bild.",
            "Was schlagen Sie vor?",
        ),
        "provider": ("Das tut mir leid.", "Können Sie mir ein Bild schicken?", "Ich kümmere mich darum."),
        "any": ("Das tut mir leid.", "Können Sie mir mehr dazu sagen?", "Ich kümmere mich darum."),
    },
    "question": {
        "customer": ("Ja, das passt.", "Nein, leider nicht.", "Ich sehe nach und melde mich."),
        "provider": ("Ja, natürlich.", "Nein, leider nicht.", "Ich sehe nach und melde mich."),
        "any": ("Ja, natürlich.", "Nein, leider nicht.", "Ich sehe nach und melde mich."),
    },
    "own": {
        "any": (
            "Ist meine Nachricht angekommen?",
            "Melden Sie sich einfach, wenn Sie können.",
            "Es eilt nicht.",
        )
    },
    "nothing": {
        "customer": ("Hallo! Ich habe eine Frage.", "Wann werden Sie da sein?", "Soll ich etwas vorbereiten?"),
        "provider": ("Hallo! Wie kann ich helfen?", "Sollte ich vorher etwas wissen?", "Wo kann ich parken?"),
        "any": ("Hallo!", "Ich habe eine Frage.", "Haben Sie einen Moment Zeit?"),
    },
}
STAGES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "before": {
        "customer": ("Bis dann!", "Soll ich etwas vorbereiten?", "Bitte klingeln, wenn Sie da sind."),
        "provider": ("Ich freue mich darauf.", "Ich melde mich, wenn ich unterwegs bin.", "Ich werde pünktlich sein."),
    },
    "now": {
        "customer": ("Wie läuft es?", "Brauchen Sie etwas von mir?", "Wie lange dauert es noch?"),
        "provider": ("Es läuft gut.", "Ich bin fast fertig.", "Ich brauche noch etwas Zeit."),
    },
    "after": {
        "customer": ("Danke, sehr gut gemacht!", "Alles sieht gut aus.", "Ich habe noch eine Frage."),
        "provider": (
            "Vielen Dank für Ihr Vertrauen!",
            "Ist alles so, wie Sie es wollten?",
            "Über eine Bewertung freue ich mich.",
        ),
    },
    "off": {
        "customer": ("Schade.", "Können wir eine andere Zeit finden?", "Ich buche bald wieder."),
        "provider": (
            "Schade, dass es nicht geklappt hat.",
            "Wollen wir eine andere Zeit finden?",
            "Ich hoffe, wir sehen uns ein andermal.",
        ),
    },
}
GENERAL: tuple[str, ...] = (
    "Danke für die Nachricht.",
    "Alles klar.",
    "Klingt gut!",
    "Ich melde mich gleich.",
    "Einen Moment, bitte.",
    "In Ordnung, danke.",
)
