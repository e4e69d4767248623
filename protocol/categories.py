"""The categories of services: a fixed list, known to every app by its ids (rule F-3)."""

from msgspec import Struct


class Category(Struct, frozen=True):
    """One kind of service."""

    id: str
    #: A Material icon's name.
    icon: str
    #: Hex, for the app's tiles.
    color: str
    #: Language → name.
    names: dict[str, str]

    def name(self, language: str) -> str:
        """The name in that language, else in English."""
        return self.names.get(language.partition("-")[0], self.names["en"])


def _names(en: str, de: str, it: str) -> dict[str, str]:
    return {"en": en, "de": de, "it": it}


#: id → category, in the order of display.
CATEGORIES: dict[str, Category] = {
    category.id: category
    for category in (
        Category("hair", "content_cut", "#8E24AA", _names("Hair", "Friseur", "Capelli")),
        Category("nails", "back_hand", "#EC407A", _names("Nails", "Nägel", "Unghie")),
        Category("beauty", "face", "#D81B60", _names("Beauty", "Kosmetik", "Estetica")),
        Category("massage", "spa", "#00897B", _names("Massage", "Massage", "Massaggi")),
        Category("fitness", "fitness_center", "#43A047", _names("Fitness", "Fitness", "Fitness")),
        Category("plumbing", "plumbing", "#1E88E5", _names("Plumbing", "Sanitär", "Idraulica")),
        Category("electrician", "electrical_services", "#FDD835", _names("Electrician", "Elektrik", "Elettricista")),
        Category("handyman", "handyman", "#6D4C41", _names("Handyman", "Handwerk", "Tuttofare")),
        Category("painting", "format_paint", "#FB8C00", _names("Painting", "Malerarbeiten", "Imbianchino")),
        Category("cleaning", "cleaning_services", "#039BE5", _names("Cleaning", "Reinigung", "Pulizie")),
        Category("gardening", "yard", "#7CB342", _names("Gardening", "Garten", "Giardinaggio")),
        Category("moving", "local_shipping", "#546E7A", _names("Moving", "Umzug", "Traslochi")),
        Category("tutoring", "school", "#3949AB", _names("Tutoring", "Nachhilfe", "Ripetizioni")),
        Category("photography", "photo_camera", "#5E35B1", _names("Photography", "Fotografie", "Fotografia")),
        Category("pets", "pets", "#A1887F", _names("Pet care", "Tierpflege", "Animali")),
        Category("repair", "build", "#757575", _names("Device repair", "Gerätereparatur", "Riparazioni")),
    )
}
