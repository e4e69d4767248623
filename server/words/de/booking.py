"""German texts of bookings."""

from server.words.texts import EventText, NounTexts

TEXTS = NounTexts(
    events={
        "booking.created": EventText(
            timeline="{customer} hat {title} mit {staff} für {starts_at} gebucht, zu {total}.",
        ),
        "booking.paid": EventText(
            title="Neue Buchung",
            body="{customer} hat {title} am {starts_at} gebucht. {amount} sind bezahlt.",
            timeline="{amount} sind bezahlt und werden verwahrt, bis der Auftrag erledigt ist.",
        ),
        "booking.approved": EventText(timeline="{by} hat den Auftrag angenommen."),
        "booking.confirmed": EventText(
            title="Buchung bestätigt",
            body="{title} mit {staff} am {starts_at} ist bestätigt.",
            timeline="Die Buchung ist bestätigt.",
        ),
        "booking.declined": EventText(
            title="Buchung abgelehnt",
            body="{staff} kann {title} am {starts_at} nicht übernehmen.",
            timeline="{by} hat den Auftrag abgelehnt: {reason}.",
        ),
        "booking.declined:NO_ANSWER": EventText(
            timeline="Niemand hat rechtzeitig geantwortet, darum ging der Auftrag zurück.",
        ),
        "booking.staff_left": EventText(
            title="Jemand hat das Team verlassen",
            body="{staff} arbeitet nicht mehr hier. Bitte kümmern Sie sich um {title} am {starts_at}.",
            timeline="{staff} hat den Betrieb verlassen.",
        ),
        "booking.cancelled": EventText(
            title="Buchung storniert",
            body="{by} hat {title} am {starts_at} storniert.",
            timeline="{by} hat die Buchung storniert.",
        ),
        "booking.abandoned": EventText(
            title="Buchung storniert",
            body="Für {title} am {starts_at} fand sich kein anderer Weg. Was bezahlt wurde, geht ganz zurück.",
            timeline="Bis zum Beginn fand sich kein anderer Weg, darum wurde die Buchung storniert.",
        ),
        "booking.expired": EventText(
            title="Buchung verfallen",
            body="{title} am {starts_at} wurde nicht rechtzeitig bezahlt. Die Zeit ist wieder frei.",
            timeline="Niemand hat rechtzeitig bezahlt, darum ist die Buchung verfallen.",
        ),
        "booking.revived": EventText(
            title="Buchung wieder da",
            body="Die Zahlung für {title} kam spät, und die Zeit war noch frei.",
            timeline="Die Zahlung kam spät, aber die Zeit war noch frei: Die Buchung gilt wieder.",
        ),
        "booking.started": EventText(
            title="Der Auftrag läuft",
            body="{staff} hat mit {title} begonnen.",
            timeline="Der Auftrag hat begonnen.",
        ),
        "booking.completed": EventText(
            title="Der Auftrag ist fertig",
            body="{staff} hat {title} beendet. Bitte bestätigen, dass alles passt.",
            timeline="Der Auftrag ist erledigt. Das Geld wird spätestens am {release_at} freigegeben.",
        ),
        "booking.completed:time": EventText(
            timeline=(
                "Niemand hat den Auftrag beendet, darum gilt er als erledigt. Das Geld wird spätestens am {release_at} "
                "freigegeben."
            ),
        ),
        "booking.start_overdue": EventText(
            title="Hat der Auftrag begonnen?",
            body="{title} am {starts_at} wurde nicht begonnen. Hat der Termin stattgefunden?",
            timeline="Der Auftrag wurde nicht begonnen. Ohne Beginn bis {no_show_at} gilt er als nicht erschienen.",
        ),
        "booking.no_show": EventText(
            title="Niemand ist gekommen",
            body="{staff} hat {title} am {starts_at} nicht begonnen. Was bezahlt wurde, geht ganz zurück.",
            timeline="{staff} hat den Auftrag nicht begonnen: Er gilt als nicht erschienen.",
        ),
        "booking.end_overdue": EventText(
            title="Ein Auftrag läuft noch",
            body="{title} mit {staff} vom {starts_at} ist weit über das geplante Ende hinaus. Bitte abschließen.",
            timeline=(
                "Der Auftrag ist weit über das geplante Ende hinaus. Er wird spätestens am {complete_at} abgeschlossen."
            ),
        ),
        "booking.released": EventText(title="Geld freigegeben", body="{amount} für {title} sind freigegeben."),
        "booking.released:customer": EventText(timeline="{customer} war zufrieden: {amount} wurden freigegeben."),
        "booking.released:time": EventText(
            timeline="Niemand hat rechtzeitig widersprochen: {amount} wurden freigegeben.",
        ),
        "booking.refunded": EventText(
            title="Erstattung",
            body="{amount} für {title} sind wieder im Guthaben.",
            timeline="{customer} hat {amount} zurück ins Guthaben bekommen.",
        ),
        "booking.reminded": EventText(
            title="Beginnt in einer Stunde",
            body="{title} mit {staff} beginnt am {starts_at}.",
            timeline="{customer} wurde an den Beginn am {starts_at} erinnert.",
        ),
    },
    terms={
        "someone_erased": "Jemand (Konto gelöscht)",
        "server": "Der Server",
        "unknown_event": "Etwas ist geschehen ({type}).",
        "decline.SCHEDULE_CONFLICT": "ein anderer Termin",
        "decline.TOO_FAR": "zu weit entfernt",
        "decline.UNWELL": "krank",
        "decline.SAFETY": "Sicherheit",
        "decline.SKILL_MISMATCH": "nicht die nötigen Fähigkeiten",
        "decline.EQUIPMENT": "Ausrüstung fehlt",
        "decline.OTHER": "andere Gründe",
        "decline.NO_ANSWER": "keine Antwort",
    },
    emails={
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
        "page.cancel.title": "Diese Buchung stornieren?",
        "page.cancel.lead": "Was bezahlt wurde, geht in Ihr Guthaben.",
        "page.cancel.button": "Buchung stornieren",
        "page.cancel.done.title": "Storniert",
        "page.cancel.done.lead": (
            "Die Buchung ist storniert. Was bezahlt wurde, ist in Ihrem Guthaben. "
            "Damit lässt sich eine weitere Buchung bezahlen."
        ),
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
    },
    errors={
        "slot_taken": ("Die Zeit ist vergeben", "Gerade hat jemand anderes diese Zeit gebucht."),
        "own_booking": (
            "Diese Zeit halten Sie selbst",
            "Ihre eigene Buchung {number} liegt in dieser Zeit und wartet auf die Zahlung.",
        ),
        "terms_changed": (
            "Die Bedingungen haben sich geändert",
            "Preis oder Zeit sind anders als angezeigt.",
        ),
        "no_staff_free": ("Dann ist niemand frei", "Zu dieser Zeit ist niemand frei, der die Leistung anbietet."),
        "slot_unavailable": ("Die Zeit ist nicht buchbar", "Diese Zeit kann nicht gebucht werden ({reason})."),
        "pair_blocked": ("Nicht verfügbar", "Zwischen Ihnen beiden ist keine Buchung mehr möglich."),
        "too_early": ("Zu früh", "Dieser Schritt ist noch nicht möglich."),
    },
)
