"""German."""

from collections.abc import Mapping

CODE = "de"
DAY = "EEEE, d. MMMM yyyy"
TIME = "HH:mm"

TEXTS: Mapping[str, str] = {
    # Letters
    "hello": "Guten Tag {name},",
    "hello.nobody": "Guten Tag,",
    "service": "Leistung",
    "with": "Mit",
    "business": "Betrieb",
    "when": "Wann",
    "where": "Wo",
    "price": "Preis",
    "number": "Buchung",
    "cancel": "Buchung stornieren",
    "cancel.hint": (
        "Etwas dazwischengekommen? Der Knopf zeigt, was geschieht, bevor etwas geschieht. Er gilt bis zum Beginn."
    ),
    "confirm": "Ja, alles in Ordnung",
    "confirm.hint": "Dann geht das Geld an {business}. Hören wir nichts, geschieht das am {release_at}.",
    "why.booking": "Sie erhalten diese E-Mail, weil Sie an der Buchung {number} beteiligt sind.",
    "why.account": "Sie erhalten diese E-Mail, weil Sie ein Konto bei {brand} haben.",
    "why.safety": "Sie erhalten diese E-Mail, weil es um die Sicherheit Ihres Kontos geht.",
    "why.code": (
        "Sie erhalten diese E-Mail, weil jemand Ihre Adresse eingegeben hat. Waren Sie das nicht, ist nichts zu tun."
    ),
    "unsubscribe": "Keine solchen E-Mails mehr",
    "code.title": "Ihr Code",
    "code.lead": "Geben Sie ihn ein, um zu bestätigen, dass diese Adresse Ihnen gehört.",
    "reset.title": "Neues Passwort",
    "reset.lead": "Geben Sie diesen Code ein und wählen Sie ein neues Passwort. Bis dahin gilt das alte.",
    # Pages
    "page.harmless": "Bevor Sie auf den Knopf drücken, geschieht nichts.",
    "page.cancel.title": "Diese Buchung stornieren?",
    "page.cancel.lead": "Was bezahlt wurde, geht in Ihr Guthaben.",
    "page.cancel.button": "Buchung stornieren",
    "page.cancel.done.title": "Storniert",
    "page.cancel.done.lead": "Die Buchung ist storniert. Was bezahlt wurde, ist in Ihrem Guthaben.",
    "page.cancel.used.title": "Schon storniert",
    "page.cancel.used.lead": "Diese Buchung wurde bereits storniert. Es ist nichts mehr zu tun.",
    "page.cancel.late.title": "Zum Stornieren zu spät",
    "page.cancel.late.lead": "Die Buchung hat begonnen, ist vorbei oder endete auf andere Weise.",
    "page.confirm.title": "Ist alles in Ordnung?",
    "page.confirm.lead": "Das Geld geht dann an {business}. Das lässt sich nicht zurücknehmen.",
    "page.confirm.button": "Ja, alles in Ordnung",
    "page.confirm.done.title": "Vielen Dank!",
    "page.confirm.done.lead": "Das Geld geht an {business}.",
    "page.confirm.used.title": "Schon bestätigt",
    "page.confirm.used.lead": "Das Geld ging bereits an {business}. Es ist nichts mehr zu tun.",
    "page.confirm.late.title": "Nichts zu bestätigen",
    "page.confirm.late.lead": "Die Buchung ist in keinem Zustand, in dem sie bestätigt werden könnte.",
    "page.unsubscribe.title": "Keine solchen E-Mails mehr?",
    "page.unsubscribe.lead": "„{kind}“ kommt dann nicht mehr per E-Mail. In der App finden Sie es weiterhin.",
    "page.unsubscribe.button": "Abbestellen",
    "page.unsubscribe.done.title": "Abbestellt",
    "page.unsubscribe.done.lead": "„{kind}“ kommt nicht mehr per E-Mail. In der App lässt es sich wieder einschalten.",
    "page.expired.title": "Dieser Link ist abgelaufen",
    "page.expired.lead": "Links in E-Mails gelten nur eine Zeit lang. In der App geht, was noch möglich ist.",
    "page.broken.title": "Dieser Link ist unvollständig",
    "page.broken.lead": (
        "Ein Teil ging unterwegs verloren oder wurde verändert. Bitte öffnen Sie ihn noch einmal aus der E-Mail."
    ),
    "page.busy.title": "Gerade nicht",
    "page.busy.lead": "Es ist nichts geschehen. Bitte versuchen Sie es gleich noch einmal.",
}
COUNTED: Mapping[str, Mapping[str, str]] = {
    "digest.subject": {"one": "{n} Neuigkeit für Sie", "other": "{n} Neuigkeiten für Sie"},
    "code.holds": {
        "one": "Er gilt {n} Minute lang und nur einmal.",
        "other": "Er gilt {n} Minuten lang und nur einmal.",
    },
}
