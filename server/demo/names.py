"""Names and places of the demo marketplace: two cities, as they could be."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class City:
    """Where some of the demo businesses are."""

    name: str
    zone: str
    currency: str
    language: str
    latitude: float
    longitude: float
    #: Local prices against those of the price list.
    price_factor: float
    #: Numbers reserved for fiction; ``{:03}`` counts.
    phone: str
    quarters: tuple[str, ...]
    first_names: tuple[str, ...]
    last_names: tuple[str, ...]


BERLIN = City(
    name="Berlin",
    zone="Europe/Berlin",
    currency="EUR",
    language="de",
    latitude=52.52,
    longitude=13.405,
    price_factor=1.0,
    phone="+493023125{:03}",
    quarters=(
        *("Kreuzberg", "Prenzlauer Berg", "Neukölln", "Charlottenburg", "Friedrichshain", "Schöneberg", "Wedding"),
        *("Moabit", "Mitte", "Pankow", "Steglitz", "Tempelhof"),
    ),
    first_names=(
        *("Anna", "Lukas", "Marie", "Felix", "Sophie", "Jonas", "Leyla", "Emre", "Katharina", "Maximilian", "Aylin"),
        *("Tobias", "Johanna", "Mehmet", "Greta", "Niklas", "Zeynep", "Paul", "Charlotte", "David", "Agnieszka"),
        *("Moritz", "Clara", "Simon", "Elif", "Julian", "Franziska", "Jakub", "Nele", "Philipp", "Ines", "Rafael"),
        *("Mathilda", "Oskar", "Yara", "Henrik", "Amira", "Fabian", "Lotte", "Thanh"),
    ),
    last_names=(
        *("Schneider", "Yılmaz", "Fischer", "Weber", "Kowalski", "Becker", "Hoffmann", "Demir", "Schäfer", "Koch"),
        *("Richter", "Klein", "Wolf", "Schröder", "Nguyen", "Neumann", "Schwarz", "Zimmermann", "Braun", "Krüger"),
        *("Hartmann", "Lange", "Werner", "Krause", "Lehmann", "Köhler", "Herrmann", "König", "Walter", "Kaiser"),
    ),
)

NEW_YORK = City(
    name="New York",
    zone="America/New_York",
    currency="USD",
    language="en",
    latitude=40.73,
    longitude=-73.99,
    price_factor=1.35,
    phone="+12125550{:03}",
    quarters=(
        *("Brooklyn Heights", "Astoria", "Harlem", "Chelsea", "Williamsburg", "Park Slope", "East Village"),
        *("Long Island City", "Bushwick", "Inwood", "Tribeca", "Greenpoint"),
    ),
    first_names=(
        *("Olivia", "Marcus", "Emma", "Jamal", "Sofia", "Ethan", "Aaliyah", "Daniel", "Maya", "Noah", "Isabella"),
        *("Andre", "Grace", "Luis", "Chloe", "Kevin", "Priya", "Anthony", "Hannah", "Darnell", "Camila", "Ryan"),
        *("Mei", "Jordan", "Rachel", "Carlos", "Naomi", "Tyler", "Fatima", "Patrick", "Zoe", "Dmitri", "Ana"),
        *("Malik", "Erin", "Vikram", "Lauren", "Mateo", "Simone", "Owen"),
    ),
    last_names=(
        *("Johnson", "Rivera", "Chen", "Williams", "Patel", "Murphy", "Garcia", "Brown", "Kim", "Davis", "Rossi"),
        *("Washington", "Nguyen", "Cohen", "Martinez", "Thompson", "Singh", "O'Brien", "Lopez", "Jackson", "Park"),
        *("Ramirez", "Clark", "Russo", "Torres", "Lewis", "Santos", "Walker", "Diaz", "Brooks"),
    ),
)

CITIES = (BERLIN, NEW_YORK)
