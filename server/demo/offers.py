"""The names and services of the demo businesses, by category."""

from typing import NamedTuple


class Offer(NamedTuple):
    """One line of a price list."""

    title: str
    minutes: int
    #: In euros; other cities have their factor.
    price: float
    text: str


class Trade(NamedTuple):
    """A category as the demo knows it."""

    category_id: str
    #: One business a city: in Berlin, in New York.
    names: tuple[str, str]
    text: str
    #: The name of a week in ``plan``.
    hours: str
    #: Minutes kept free behind each job.
    buffer_after_minutes: int
    offers: tuple[Offer, ...]


TRADES = (
    Trade(
        "hair",
        ("Salon Landwehr", "Shear Brooklyn"),
        "Cuts and colour without a rush. We look at your hair before we talk about prices.",
        "salon",
        15,
        (
            Offer("Women's cut", 60, 58, "Wash, cut and blow-dry, with time to talk it over first."),
            Offer("Men's cut", 30, 34, "Wash, cut and styling."),
            Offer("Children's cut", 30, 24, "For everybody under twelve; patience included."),
            Offer("Root touch-up", 90, 72, "Colour for up to three centimetres of new hair."),
            Offer("Balayage", 180, 165, "Hand-painted highlights, toner and care."),
            Offer("Full colour", 120, 98, "One tone from root to tip, with an after-care mask."),
            Offer("Blow-dry", 45, 36, "Wash and blow-dry for the evening."),
            Offer("Updo", 75, 85, "Pinned up for weddings and balls; bring a picture."),
            Offer("Beard trim", 20, 18, "Shape, trim and hot towel."),
            Offer("Keratin treatment", 150, 140, "Smooth hair for up to four months."),
        ),
    ),
    Trade(
        "nails",
        ("Lackwerk", "Ten Points Nail Bar"),
        "A small studio for hands and feet. Tools are sterilised after every guest.",
        "salon",
        10,
        (
            Offer("Classic manicure", 45, 32, "Shape, cuticles, massage and polish."),
            Offer("Gel manicure", 60, 44, "Polish that keeps for two to three weeks."),
            Offer("Gel removal", 30, 18, "Soaked off gently, with a little care after."),
            Offer("Classic pedicure", 60, 42, "Bath, file, massage and polish."),
            Offer("Spa pedicure", 75, 56, "With scrub, mask and a long massage."),
            Offer("Acrylic full set", 105, 68, "New length in the shape that you like."),
            Offer("Acrylic refill", 75, 46, "Every three weeks, to keep the shape."),
            Offer("Nail art, ten nails", 45, 30, "Freehand; on top of any manicure."),
            Offer("Nail repair", 15, 8, "One broken nail, saved."),
            Offer("Manicure and pedicure", 105, 70, "Both, one after the other."),
        ),
    ),
    Trade(
        "beauty",
        ("Studio Hautnah", "Clearwater Skin Studio"),
        "Skin care by trained cosmeticians. We say what helps, and what is not worth the money.",
        "salon",
        15,
        (
            Offer("Skin consultation", 30, 25, "A look under the lamp, and a plan."),
            Offer("Deep-cleansing facial", 75, 79, "Steam, extraction, mask."),
            Offer("Hydrating facial", 60, 69, "For dry skin, above all in winter."),
            Offer("Microdermabrasion", 60, 95, "Smooths fine lines and small scars."),
            Offer("Brow shaping", 20, 19, "Tweezed or with wax."),
            Offer("Lash lift", 60, 62, "Curl for six to eight weeks."),
            Offer("Brow lamination", 45, 54, "Full brows that stay where they are."),
            Offer("Half-leg wax", 30, 29, "From the knee down."),
            Offer("Evening make-up", 60, 65, "For photos and long nights."),
            Offer("Bridal make-up", 120, 180, "With a trial a week before."),
        ),
    ),
    Trade(
        "massage",
        ("Ruhepol", "Stillpoint Bodywork"),
        "Massage by people who know their anatomy. Tell us where it hurts.",
        "late",
        20,
        (
            Offer("Classic massage", 60, 68, "Back, neck and legs."),
            Offer("Back and neck", 30, 39, "For those who sit a lot."),
            Offer("Deep tissue", 75, 92, "Slow and strong."),
            Offer("Sports massage", 60, 78, "Before the run or after it."),
            Offer("Hot stone", 90, 110, "Warm basalt and oil."),
            Offer("Thai massage", 90, 98, "On the mat, in loose clothes."),
            Offer("Prenatal massage", 60, 74, "From the fourth month on."),
            Offer("Reflexology", 45, 52, "Forty-five minutes for your feet."),
            Offer("Lymphatic drainage", 60, 76, "Light and rhythmic."),
            Offer("Office massage", 20, 29, "On the chair, through the shirt."),
        ),
    ),
    Trade(
        "fitness",
        ("Kraftraum Ost", "Ironbound Coaching"),
        "Personal training, one to one. The first session is for finding out what you need.",
        "late",
        15,
        (
            Offer("First session", 60, 49, "Talk, test and a plan."),
            Offer("Personal training", 60, 75, "Strength and technique."),
            Offer("Short session", 30, 42, "In and out within a lunch break."),
            Offer("Running technique", 60, 69, "With video, outdoors."),
            Offer("Back fitness", 45, 55, "Against the desk."),
            Offer("Mobility", 45, 52, "Hips, shoulders, ankles."),
            Offer("Nutrition talk", 45, 59, "What you eat, and what that does."),
            Offer("Partner training", 60, 95, "Two people, one coach."),
            Offer("Boxing basics", 60, 72, "Gloves are here."),
            Offer("Fitness check", 90, 89, "Numbers to compare with in three months."),
        ),
    ),
    Trade(
        "plumbing",
        ("Rohr & Söhne", "Five Borough Plumbing"),
        "Water where it belongs. We come on time, and say the price before we begin.",
        "trades",
        30,
        (
            Offer("Dripping tap", 45, 69, "New washers or a new cartridge, parts up to 15 included."),
            Offer("Blocked drain", 60, 95, "Kitchen or bathroom, by spiral."),
            Offer("Toilet repair", 60, 89, "Flush, seal or fill valve."),
            Offer("Tap replacement", 60, 85, "Yours or one that we bring."),
            Offer("Washing machine connection", 45, 65, "Connected, levelled and tested."),
            Offer("Leak search", 120, 180, "By sound and camera, without breaking tiles first."),
            Offer("Water heater service", 90, 139, "Cleaned, tested, with a protocol."),
            Offer("Shower replacement", 240, 420, "Old one out, new one in; without tiling."),
            Offer("Radiator valve", 60, 92, "One valve, thermostat included."),
            Offer("Bathroom consultation", 60, 60, "Measured on the spot, with a written offer after."),
        ),
    ),
    Trade(
        "electrician",
        ("Stromwerk Nord", "Bright Side Electric"),
        "Licensed electricians for homes and small shops. Every job ends with a measurement.",
        "trades",
        30,
        (
            Offer("Fault search", 60, 98, "Why the fuse keeps going."),
            Offer("Lamp installation", 45, 59, "One lamp, up to four metres high."),
            Offer("Socket or switch", 30, 49, "Replaced or moved by a hand's breadth."),
            Offer("Oven connection", 60, 85, "Three-phase, with a protocol."),
            Offer("Fuse box check", 90, 129, "Looked through, tightened, labelled."),
            Offer("Smart thermostat", 60, 89, "Installed and explained."),
            Offer("Doorbell and intercom", 90, 140, "Repair or new."),
            Offer("Wallbox consultation", 60, 75, "What your line can carry."),
            Offer("Network socket", 90, 119, "Cable drawn, socket set, measured."),
            Offer("Safety inspection", 120, 190, "For landlords, with papers."),
        ),
    ),
    Trade(
        "cleaning",
        ("Blitzblank Kollektiv", "Fresh Start Cleaning Co."),
        "Cleaners with contracts and fair pay. You get the same person each time if you like.",
        "trades",
        30,
        (
            Offer("Flat, two hours", 120, 64, "Kitchen, bath, floors: in the order that you say."),
            Offer("Flat, three hours", 180, 93, "For up to three rooms."),
            Offer("Flat, four hours", 240, 122, "For the whole flat, thoroughly."),
            Offer("Window cleaning", 120, 79, "Up to ten windows, frames included."),
            Offer("Kitchen deep clean", 150, 105, "Oven, fridge and hood, inside too."),
            Offer("Bathroom deep clean", 90, 72, "Limescale has no chance."),
            Offer("Move-out cleaning", 240, 220, "So that you get your deposit back."),
            Offer("Office cleaning", 120, 74, "Before you come or after you leave."),
            Offer("Carpet cleaning", 120, 96, "Up to 30 square metres, dry by the evening."),
            Offer("Upholstery", 90, 88, "A sofa, or four chairs."),
        ),
    ),
    Trade(
        "tutoring",
        ("Lernwerkstatt Spree", "Hudson Learning Lab"),
        "Tutors who have stood before a class. We speak with the school if you want us to.",
        "afternoons",
        10,
        (
            Offer("Mathematics, school", 60, 38, "Grades 5 to 10."),
            Offer("Mathematics, finals", 90, 62, "Calculus, vectors, statistics."),
            Offer("English", 60, 36, "Grammar, essays, conversation."),
            Offer("French", 60, 38, "From the first year to the last."),
            Offer("Physics", 60, 42, "Mechanics to quanta."),
            Offer("Chemistry", 60, 42, "With experiments in the kitchen."),
            Offer("Reading and writing", 45, 32, "For children with dyslexia."),
            Offer("Homework hour", 60, 28, "Quiet, and somebody to ask."),
            Offer("Exam rehearsal", 120, 79, "A real paper, then the talk about it."),
            Offer("Programming for teens", 90, 54, "Python, games and a little mathematics."),
        ),
    ),
    Trade(
        "photography",
        ("Lichthof Fotografie", "Gotham Light Studio"),
        "Portraits and reportage. You get the pictures within a week, for print and web.",
        "studio",
        30,
        (
            Offer("Application portrait", 45, 89, "Three retouched pictures."),
            Offer("Passport photos", 15, 19, "Printed, and as a file."),
            Offer("Family session", 90, 189, "In the studio or in the park, fifteen pictures."),
            Offer("Newborn session", 120, 240, "At your home, without any hurry."),
            Offer("Couple session", 60, 149, "Ten pictures at golden hour."),
            Offer("Team portraits", 120, 290, "Up to eight people, one look."),
            Offer("Product photos", 180, 320, "Up to twenty products, cut out."),
            Offer("Wedding, two hours", 120, 480, "The ceremony and the group."),
            Offer("Event reportage", 240, 620, "Four hours, some hundred pictures."),
            Offer("Photo course", 150, 95, "Your own camera, explained."),
        ),
    ),
    Trade(
        "gardening",
        ("Grüner Daumen Pankow", "Borough Green Gardens"),
        "Balconies, courtyards and gardens, all through the year.",
        "trades",
        30,
        (
            Offer("Garden consultation", 60, 55, "What grows where you live."),
            Offer("Lawn mowing", 60, 45, "Up to 200 square metres, cuttings taken along."),
            Offer("Hedge trimming", 120, 98, "Up to 15 metres, outside of nesting time."),
            Offer("Weeding", 120, 76, "Beds and paths, by hand."),
            Offer("Balcony planting", 120, 130, "Soil and plants for one balcony."),
            Offer("Tree pruning", 180, 210, "Fruit trees up to five metres."),
            Offer("Leaf clearing", 90, 68, "Raked and taken along."),
            Offer("Irrigation set-up", 150, 185, "Drip lines with a timer."),
            Offer("Raised bed", 180, 260, "Built, filled and planted."),
            Offer("Winter preparation", 120, 99, "Wrapped, cut back and put away."),
        ),
    ),
    Trade(
        "pets",
        ("Pfotenpunkt", "Happy Tails Uptown"),
        "For dogs and cats, and for the people who belong to them.",
        "studio",
        15,
        (
            Offer("Dog walk", 45, 19, "Round the park, alone or in a small group."),
            Offer("Long dog walk", 90, 34, "To the woods and back."),
            Offer("Cat visit", 30, 16, "Food, litter, cuddles, and a photo for you."),
            Offer("Bath and brush, small dog", 60, 42, "Up to ten kilos."),
            Offer("Bath and brush, large dog", 90, 64, "With a good deal of towels."),
            Offer("Full groom", 120, 85, "Bath, cut, claws and ears."),
            Offer("Claw trim", 15, 14, "Dogs, cats and rabbits."),
            Offer("Puppy training", 60, 48, "First commands, at your home."),
            Offer("Behaviour talk", 90, 89, "Barking, pulling, being afraid."),
            Offer("Pet taxi", 60, 38, "To the vet and back."),
        ),
    ),
)
