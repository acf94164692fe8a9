# ruff: noqa: D102, E501, RUF001, SIM905 - documented by Language; tables; signs that look like others.
"""German."""

import re
from typing import ClassVar

from conversation.spoken_text import numbers
from conversation.spoken_text.english import VERSIONED, ends_with
from conversation.spoken_text.language import Abbreviation, Currency, Form, Language

_MONTHS = (
    "Januar Februar März April Mai Juni Juli August September Oktober November Dezember"
).split()


def _same(table: str) -> dict[str, Form]:
    """Units that have the same name in the plural."""
    return {
        sign: (name, name)
        for line in table.split(";")
        for sign, name in [line.strip().split(" ", 1)]
    }


class German(Language):
    """German, as it is said in Germany."""

    code = "de"
    decimal = ","
    units: ClassVar = {
        **_same(
            "km Kilometer; m Meter; cm Zentimeter; mm Millimeter; µm Mikrometer; nm Nanometer;"
            "kg Kilogramm; g Gramm; mg Milligramm; µg Mikrogramm; l Liter; L Liter;"
            "ml Milliliter; cl Zentiliter; dl Deziliter; m² Quadratmeter; qm Quadratmeter;"
            "km² Quadratkilometer; cm² Quadratzentimeter; m³ Kubikmeter; cm³ Kubikzentimeter;"
            "ha Hektar; GB Gigabyte; MB Megabyte; kB Kilobyte; KB Kilobyte; TB Terabyte;"
            "Gbit Gigabit; Mbit Megabit; kbit Kilobit; kW Kilowatt; MW Megawatt; W Watt;"
            "kWh Kilowattstunden; MWh Megawattstunden; V Volt; kV Kilovolt; mA Milliampere;"
            "mAh Milliamperestunden; kcal Kilokalorien; kJ Kilojoule; J Joule; N Newton; Pa Pascal;"
            "kPa Kilopascal; hPa Hektopascal; Ω Ohm; dB Dezibel; MP Megapixel; px Pixel; Hz Hertz;"
            "kHz Kilohertz; MHz Megahertz; GHz Gigahertz; bar Bar; PS P S; EL Esslöffel;"
            "TL Teelöffel; ms Millisekunden; °C Grad Celsius; ° Grad; °F Grad Fahrenheit;"
            "Stk Stück; % Prozent; ‰ Promille; Pkg Packungen; Std Stunden; Min Minuten; ct Cent"
        ),
        "t": ("Tonne", "Tonnen"),
        "h": ("Stunde", "Stunden"),
        "min": ("Minute", "Minuten"),
        "mmHg": ("Millimeter Quecksilbersäule", "Millimeter Quecksilbersäule"),
        "s": ("Sekunde", "Sekunden"),
        "Sek": ("Sekunde", "Sekunden"),
    }
    currencies: ClassVar = {
        "€": Currency(("Euro", "Euro"), ("Cent", "Cent")),
        "£": Currency(("Pfund", "Pfund"), ("Penny", "Pence")),
        "$": Currency(("Dollar", "Dollar"), ("Cent", "Cent")),
        "US$": Currency(("U S Dollar", "U S Dollar"), ("Cent", "Cent")),
        "¥": Currency(("Yen", "Yen")),
        "₹": Currency(("Rupie", "Rupien")),
        "CHF": Currency(("Schweizer Franken", "Schweizer Franken"), ("Rappen", "Rappen")),
        "Euro": Currency(("Euro", "Euro"), ("Cent", "Cent")),
        "Fr": Currency(("Franken", "Franken"), ("Rappen", "Rappen")),
        "kr": Currency(("Krone", "Kronen"), ("Öre", "Öre")),
        "zł": Currency(("Zloty", "Zloty"), ("Grosz", "Groszy")),
        "DM": Currency(("D-Mark", "D-Mark"), ("Pfennig", "Pfennig")),
    }
    magnitudes: ClassVar = {
        **dict.fromkeys(("Tsd", "tausend", "k"), ("tausend", "tausend")),
        **dict.fromkeys(("Mio", "Million", "Millionen"), ("Million", "Millionen")),
        **dict.fromkeys(("Mrd", "Milliarde", "Milliarden"), ("Milliarde", "Milliarden")),
    }
    rates: ClassVar = {
        **dict.fromkeys(("p.P", "p. P"), "pro Person"),
        **dict.fromkeys(("p.M", "p. M", "mtl"), "im Monat"),
        **dict.fromkeys(("p.a", "p. a"), "im Jahr"),
        **dict.fromkeys(("p.T", "p. T"), "pro Tag"),
    }  # fmt: skip
    months: ClassVar = {
        **{name: number for number, name in enumerate(_MONTHS, 1)},
        **{name[:3]: number for number, name in enumerate(_MONTHS, 1)},
        "Sept": 9, "Jänner": 1, "Mrz": 3,
    }  # fmt: skip
    weekdays: ClassVar = {
        "Mo": "Montag", "Di": "Dienstag", "Mi": "Mittwoch", "Do": "Donnerstag", "Fr": "Freitag",
        "Sa": "Samstag", "So": "Sonntag",
    }  # fmt: skip
    abbreviations: ClassVar = {
        **{
            short: Abbreviation(words)
            for short, words in {
                "z. B": "zum Beispiel", "z.B": "zum Beispiel", "Z. B": "Zum Beispiel",
                "d. h": "das heißt", "d.h": "das heißt", "u. a": "unter anderem",
                "u.a": "unter anderem", "o. ä": "oder ähnlich", "o.ä": "oder ähnlich",
                "i. d. R": "in der Regel", "i.d.R": "in der Regel", "usw": "und so weiter",
                "etc": "et cetera", "bzw": "beziehungsweise", "ca": "circa", "Ca": "Circa",
                "inkl": "inklusive", "exkl": "exklusive", "zzgl": "zuzüglich", "ggf": "gegebenenfalls",
                "evtl": "eventuell", "vgl": "vergleiche", "Dr": "Doktor", "Prof": "Professor",
                "Str": "Straße", "str": "straße", "Tel": "Telefon", "tgl": "täglich",
                "mind": "mindestens", "geb": "geboren", "gest": "gestorben", "Hr": "Herr",
                "Fr": "Frau", "St": "Sankt", "bspw": "beispielsweise", "sog": "sogenannte",
                "zzt": "zurzeit", "vs": "versus", "Abb": "Abbildung", "Nr": "Nummer", "Bd": "Band",
                "Kap": "Kapitel", "Mwst": "Mehrwertsteuer", "MwSt": "Mehrwertsteuer",
                "Jh": "Jahrhundert", "Jhd": "Jahrhundert", "max": "maximal", "Max": "Maximal",
            }.items()
        },
        **{
            short: Abbreviation(words, dot=True)
            for short, words in {
                "min": "mindestens", "Min": "mindestens", "Hr": "Herr", "Fr": "Frau",
                "Max": "Maximal",
            }.items()
        },
        "S": Abbreviation("Seite", dot=True, before="digit"),
    }  # fmt: skip
    signs: ClassVar = {
        "|": ",",
        "≥": "mindestens", "≤": "höchstens", "≈": "etwa", "~": "etwa", "±": "plus minus",
        "=": "gleich", "≠": "ungleich", "<": "kleiner als", ">": "größer als", "&": "und",
        "+": "plus", "×": "mal", "÷": "geteilt durch", "−": "minus", "→": "nach", "#": "Nummer",
        "§": "Paragraf", "§§": "Paragrafen", "%": "Prozent", "‰": "Promille", "©": "Copyright", "®": "registriert",
        "™": "Warenzeichen", "°": "Grad", "@": "at", "*": "Stern", "^": "hoch", "√": "Wurzel aus",
        "€": "Euro", "£": "Pfund", "$": "Dollar", "∞": "unendlich", "_": "Unterstrich",
        "/": "Schrägstrich", "\\": "umgekehrter Schrägstrich", ">=": "mindestens",
        "<=": "höchstens", "->": "nach", "½": "halb", "†": "gestorben",
    }  # fmt: skip
    spelt: ClassVar = frozenset("USA EU UNO AGB GEZ ADAC AOK IHK BGB EDV ICE IC IBAN BIC".split())
    pronounced: ClassVar = frozenset(
        "NASA NATO UNESCO UNICEF AIDS COVID BAFÖG TÜV DIN PIN SIM UND DER DIE DAS IST NUR NEU EIN "
        "AB AN AM IM IN ZU BIS AUS MIT VON FÜR ICH WIR SIE".split()
    )
    scripts: ClassVar = {
        "CJK": "chinesischer", "HIRAGANA": "japanischer", "KATAKANA": "japanischer",
        "HANGUL": "koreanischer", "CYRILLIC": "kyrillischer", "ARABIC": "arabischer",
        "HEBREW": "hebräischer", "GREEK": "griechischer", "THAI": "thailändischer",
        "DEVANAGARI": "indischer",
    }  # fmt: skip
    phone_cue = ends_with(
        r"(?:rufen sie|ruf|anruf|telefon|telefonnummer|tel|fon|fax|handy|mobil|hotline|notruf|sms"
        r"|whatsapp|rufnummer|erreichbar)(?:\s+(?:uns|mich|ihn|unter|auf|die|der|nummer|an|ist|in)){0,4}"
    )
    code_cue = ends_with(
        r"(?:code|pin|isbn|iban|kundennummer|bestellnummer|rechnungsnummer|auftragsnummer|konto"
        r"|kontonummer|aktenzeichen|plz|postleitzahl|passwort)(?:\s+(?:nr|nummer|ist|lautet))*"
    )
    year_cue = ends_with(
        "in|seit|ab|von|bis|vor|nach|um|jahr|jahre|jahres|und|anfang|mitte|ende|sommer|herbst"
        "|winter|frühling|geboren|gegründet|©|im|januar|februar|märz|april|mai|juni|juli|august"
        "|september|oktober|november|dezember"
    )
    count_cue = ends_with(
        "über|fast|rund|circa|ca|etwa|genau|insgesamt|mindestens|höchstens|zimmer"
    )
    roman_cue = ends_with("kapitel|teil|band|akt|weltkrieg|phase|stufe|typ|klasse|abschnitt")
    regnal_cue = re.compile(
        r"\b(?:Wilhelm|Friedrich|Ludwig|Heinrich|Karl|Otto|Elisabeth|Georg|Papst|Paul|Johannes"
        r"|Benedikt|Katharina|Napoleon|Franz|Joseph|Maximilian|Rudolf|Philipp|Alexander)\s$"
    )
    version_cue = ends_with(VERSIONED)
    verse_cue = re.compile(r"\b(?:Mose|Psalm|Matthäus|Markus|Lukas|Johannes|Römer|Korinther)\s$")
    titled = re.compile(
        r"\b(?:König|Königin|Papst|Kaiser|Kaiserin|Zar|Prinz)(?:\s[A-Z]\w+){1,2}\s$"
    )
    ranked = re.compile(r"(?P<th>\.)\s(?:Jahrhundert|Olympi\w+)\b")
    counted = re.compile(
        r"\s(?:Einwohner|Mitarbeiter|Menschen|Personen|Gäste|Besucher|Kunden|Stück|Seiten|Meter"
        r"|Kilometer|Mal|Exemplare|Euro|Zimmer|Plätze)"
    )
    score_cue = re.compile(
        r"\b(?:gewann|gewannen|verlor|verloren|siegte|Ergebnis)\b[^.!?\d]{0,40}$"
    )
    mark_cue = re.compile(r"\b(?:bewertet|Bewertung|Note|Punkte|erreichte)\b[^.!?\d]{0,30}$")
    noun = re.compile(r"(?!)")
    article = re.compile(r"\b(?:ein|eine|einen|einem|eines|einer)\s+$", re.IGNORECASE)
    clock_cue_words = r"(?!)"
    from_or_at = r"(?:um|ab|von|bis|vor|nach)"
    clock_cue = re.compile(r"(?!)")
    day_cue = re.compile(r"\b(?:am|vom|bis|zum|ab|seit|dem|den|und|oder)\s$", re.IGNORECASE)
    until_now = re.compile(r"(?:heute|jetzt)\b", re.IGNORECASE)

    point, minus, plus, to, and_ = "Komma", "minus", "plus", "bis", "und"
    per, by, times, ratio, out_of = "pro", "mal", "mal", "zu", "von"
    over, nil, noughties, full_hours = "zu", "null", "Nullerjahre", "Uhr"
    percent, power, squared, cubed = "Prozent", "hoch", "hoch zwei", "hoch drei"
    at, dot, slash, hyphen, underscore = "at", "Punkt", "Schrägstrich", "Bindestrich", "Unterstrich"
    number = "Nummer"
    stars: ClassVar = ("Stern", "Sterne")
    noon = "Mitternacht|mittags|mitternachts"
    angles: ClassVar = (("Grad", "Grad"), ("Minute", "Minuten"), ("Sekunde", "Sekunden"))
    sides: ClassVar = {"N": "Nord", "S": "Süd", "O": "Ost", "E": "Ost", "W": "West"}
    feet: ClassVar = ("Fuß", "Fuß")
    inches: ClassVar = ("Zoll", "Zoll")
    foreign_word, foreign_text = "ein Wort in {script} Schrift", "Text in {script} Schrift"

    def cardinal(self, number: int) -> str:
        return numbers.german(number)

    def counted_number(self, number: int) -> str:
        return numbers.german_counted(number)

    def ordinal(self, number: int, before: str) -> str:
        return numbers.german_ordinal(number) + _ending(before)

    def fraction(self, count: int, parts: int, *, after_whole: bool = False) -> str:
        if parts == 2:
            return "ein halb"
        part = {3: "Drittel", 7: "Siebtel", 8: "Achtel"}.get(parts)
        part = part or numbers.german_ordinal(parts).capitalize() + "el"
        return f"{self.counted_number(count)} {part}"

    def year(self, year: int) -> str:
        return numbers.german_year(year)

    def plural(self, words: str) -> str:
        return words + "er"

    def day(self, day: int, month: int, before: str, *, month_first: bool) -> str:
        rank = numbers.german_ordinal(day) + _ending(before)
        return f"{rank} {self.month(month)}" if month else rank

    def month(self, month: int) -> str:
        return _MONTHS[month - 1]

    def clock(self, hour: int, minute: int, half: str) -> str:
        return f"{self.counted_number(hour)} Uhr" + (f" {self.cardinal(minute)}" if minute else "")

    def duration(self, hours: int, minutes: int, seconds: int) -> str:
        parts = [
            f"{'eine' if count == 1 else self.cardinal(count)} {name}" + ("n" if count != 1 else "")
            for count, name in ((hours, "Stunde"), (minutes, "Minute"), (seconds, "Sekunde"))
            if count
        ]
        return " ".join(parts) or "null Sekunden"

    def regnal(self, number: int) -> str:
        return f"der {numbers.german_ordinal(number)}e"


def _ending(before: str) -> str:
    """The ending of a rank after what stands before it: "am zwölften", "der zwölfte"."""
    last = before.rsplit(maxsplit=1)[-1].lower() if before.split() else ""
    if last in {"am", "vom", "zum", "dem", "den", "des", "im", "bis", "ab", "seit", "beim"}:
        return "en"
    return "e" if last in {"der", "die", "das"} else "er"
