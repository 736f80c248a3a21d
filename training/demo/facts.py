"""What the demo's small world knows: topics, each with two facts, in English and in Indonesian."""

from dataclasses import dataclass

LANGUAGES = ("en", "id")


@dataclass(frozen=True)
class Fact:
    """One thing that is so: `topic` and `value` by language, e.g. ("a cow", "sapi") eats ("grass", "rumput")."""

    attribute: str
    topic: dict[str, str]
    value: dict[str, str]

    @property
    def name(self) -> str:
        return f"{self.topic['en']} / {self.attribute}"


# (topic in English, in Indonesian, value of the first attribute (en, id), value of the second attribute (en, id))
_ANIMALS = [
    ("a cat", "kucing", "fish", "ikan", "house", "rumah"),
    ("a cow", "sapi", "grass", "rumput", "meadow", "padang"),
    ("a chicken", "ayam", "corn", "jagung", "coop", "kandang"),
    ("a horse", "kuda", "hay", "jerami", "stable", "istal"),
    ("a monkey", "monyet", "fruit", "buah", "tree", "pohon"),
    ("a rabbit", "kelinci", "carrots", "wortel", "burrow", "liang"),
    ("a goat", "kambing", "leaves", "daun", "mountains", "gunung"),
    ("a bee", "lebah", "nectar", "nektar", "hive", "sarang"),
    ("a duck", "bebek", "worms", "cacing", "pond", "kolam"),
    ("an elephant", "gajah", "bark", "kulit kayu", "forest", "hutan"),
    ("a tiger", "harimau", "meat", "daging", "jungle", "rimba"),
    ("a dog", "anjing", "bones", "tulang", "yard", "halaman"),
]
_FOODS = [
    ("a banana", "pisang", "yellow", "kuning", "sweet", "manis"),
    ("a lemon", "lemon", "yellow", "kuning", "sour", "masam"),
    ("chili", "cabai", "red", "merah", "hot", "pedas"),
    ("rice", "nasi", "white", "putih", "plain", "tawar"),
    ("coffee", "kopi", "black", "hitam", "bitter", "pahit"),
    ("tea", "teh", "brown", "cokelat", "fresh", "segar"),
    ("milk", "susu", "white", "putih", "rich", "gurih"),
    ("honey", "madu", "golden", "keemasan", "sweet", "manis"),
    ("salt", "garam", "white", "putih", "salty", "asin"),
    ("sugar", "gula", "white", "putih", "sweet", "manis"),
    ("a mango", "mangga", "orange", "jingga", "sweet", "manis"),
    ("spinach", "bayam", "green", "hijau", "plain", "tawar"),
]
_THINGS = [
    ("a knife", "pisau", "cutting", "memotong", "kitchen", "dapur"),
    ("a broom", "sapu", "sweeping", "menyapu", "hall", "serambi"),
    ("a bed", "kasur", "sleeping", "tidur", "bedroom", "kamar"),
    ("a book", "buku", "reading", "membaca", "library", "perpustakaan"),
    ("a pen", "pena", "writing", "menulis", "office", "kantor"),
    ("a chair", "kursi", "sitting", "duduk", "dining room", "ruang makan"),
    ("soap", "sabun", "washing", "mencuci", "bathroom", "kamar mandi"),
    ("a needle", "jarum", "sewing", "menjahit", "basket", "keranjang"),
    ("a ladder", "tangga", "climbing", "memanjat", "shed", "gudang"),
    ("a boat", "perahu", "sailing", "berlayar", "harbour", "pelabuhan"),
    ("a drum", "gendang", "making music", "bermain musik", "village square", "alun-alun"),
    ("a hoe", "cangkul", "digging", "menggali", "field", "ladang"),
]
_PEOPLE = [
    ("a teacher", "guru", "teaches children", "mengajar anak", "school", "sekolah"),
    ("a doctor", "dokter", "heals people", "mengobati orang", "hospital", "rumah sakit"),
    ("a farmer", "petani", "plants rice", "menanam padi", "rice field", "sawah"),
    ("a baker", "tukang roti", "bakes bread", "membuat roti", "bakery", "toko roti"),
    ("a fisherman", "nelayan", "catches fish", "menangkap ikan", "bay", "teluk"),
    ("a cook", "juru masak", "cooks meals", "memasak hidangan", "restaurant", "rumah makan"),
    ("a driver", "sopir", "drives the bus", "menyetir bus", "terminal", "terminal"),
    ("a tailor", "penjahit", "makes clothes", "membuat baju", "workshop", "bengkel"),
    ("a gardener", "tukang kebun", "waters flowers", "menyiram bunga", "park", "taman"),
    ("a singer", "penyanyi", "sings songs", "menyanyi lagu", "theatre", "teater"),
    ("a trader", "pedagang", "sells goods", "menjual barang", "market", "pasar"),
    ("a pilot", "pilot", "flies planes", "menerbangkan pesawat", "airport", "bandara"),
]
_TABLES = [
    (_ANIMALS, "food", "home"),
    (_FOODS, "colour", "taste"),
    (_THINGS, "use", "place"),
    (_PEOPLE, "work", "workplace"),
]


def _facts() -> list[Fact]:
    found = []
    for table, first, second in _TABLES:
        for topic_en, topic_id, first_en, first_id, second_en, second_id in table:
            topic = {"en": topic_en, "id": topic_id}
            found.append(Fact(first, topic, {"en": first_en, "id": first_id}))
            found.append(Fact(second, topic, {"en": second_en, "id": second_id}))
    return found


FACTS: list[Fact] = _facts()
