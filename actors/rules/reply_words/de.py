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
        "customer": ("Super, bis gleich!", "Melden Sie sich, wenn Sie in der Nähe sind.", "Wie lange dauert es noch?"),
        "provider": ("Ich bin unterwegs 🚗", "Ich bin in ein paar Minuten da.", "Bis gleich!"),
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
        "customer": ("Die Adresse steht in der Buchung.", "Wo genau ist das?", "Das finde ich, danke."),
        "provider": (
            "Die Adresse steht in der Buchung.",
            "Ich sehe nach und melde mich.",
            "Ich schicke Ihnen die Einzelheiten.",
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
    "complaint": {
        "customer": ("Das tut mir leid.", "Was schlagen Sie vor?", "Lassen Sie uns das klären."),
        "provider": ("Das tut mir leid.", "Ich nehme das ernst.", "Können Sie mir sagen, was passiert ist?"),
        "any": ("Das tut mir leid.", "Können Sie mir sagen, was passiert ist?", "Ich nehme das ernst."),
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
        "customer": ("Hallo! Ich habe eine Frage.", "Bleibt es bei unserem Termin?", "Soll ich etwas vorbereiten?"),
        "provider": ("Hallo! Wie kann ich helfen?", "Sollte ich vorher etwas wissen?", "Haben Sie noch Fragen?"),
        "any": ("Hallo!", "Ich habe eine Frage.", "Haben Sie einen Moment Zeit?"),
    },
}
STAGES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "before": {
        "customer": ("Bis dann!", "Soll ich etwas vorbereiten?", "Ich werde pünktlich sein."),
        "provider": ("Ich freue mich darauf.", "Ich werde pünktlich sein.", "Haben Sie noch Fragen?"),
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
#: After bad news, instead of the replies of the stage and the general ones: they neither cheer nor promise.
TROUBLE: tuple[str, ...] = (
    "Ich verstehe.",
    "Danke, dass Sie es mir sagen.",
    "Ich sehe nach und melde mich.",
    "Wie können wir das lösen?",
    "Ich melde mich gleich.",
    "Einen Moment, bitte.",
)
