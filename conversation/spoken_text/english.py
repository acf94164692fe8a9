# ruff: noqa: D102, E501, RUF001, SIM905 - documented by Language; tables; signs that look like others.
"""English: British, and American where the two differ."""

import re
from typing import ClassVar

from conversation.spoken_text import numbers
from conversation.spoken_text.language import Abbreviation, Currency, Form, Language


def ends_with(words: str) -> re.Pattern[str]:
    """A pattern of the end of a text: one of the words, and what may stand before a number."""
    return re.compile(rf"(?:^|(?<=[^\w]))(?:{words})[\s.:#(]*$", re.IGNORECASE)


_MONTHS = (
    "January February March April May June July August September October November December"
).split()
_ABBREVIATED_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()


VERSIONED = (
    r"versions?|release|python|java|ruby|php|perl|go|node|node\.js|django|rails|ios|ipados|macos"
    r"|android|ubuntu|debian|fedora|windows|linux|kernel|postgres|postgresql|mysql|sqlite|kubernetes"
    r"|chrome|firefox|safari|blender|gcc|clang|cuda|pytorch|tensorflow|numpy|pandas|typescript|kotlin"
    r"|swift|rust|\.net"
)
"""Pattern of what has versions."""
_WITH_STOP = frozenset("No no p b c d Art art Sec para Pt est Est".split())
"""Abbreviations before a number that are words or letters without a full stop."""


def _regular(table: str) -> dict[str, Form]:
    return {
        sign: (name, f"{name}s")
        for line in table.split(";")
        for sign, name in [line.strip().split(" ", 1)]
    }


class English(Language):
    """British English."""

    code = "en-GB"
    decimal = "."
    units: ClassVar = {
        **_regular(
            "km kilometre; m metre; cm centimetre; mm millimetre; µm micrometre; nm nanometre;"
            "kg kilogram; g gram; mg milligram; µg microgram; mcg microgram; t tonne;"
            "l litre; L litre; ml millilitre; mL millilitre; cl centilitre; dl decilitre;"
            "m² square metre; m2 square metre; km² square kilometre; km2 square kilometre;"
            "cm² square centimetre; cm2 square centimetre; sqm square metre; m³ cubic metre;"
            "m3 cubic metre; cm³ cubic centimetre; ha hectare; yd yard; mi mile; gal gallon;"
            "lb pound; lbs pound; oz ounce; tbsp tablespoon; tsp teaspoon; pt pint;"
            "GB gigabyte; MB megabyte; kB kilobyte; KB kilobyte; TB terabyte; PB petabyte;"
            "GiB gibibyte; MiB mebibyte; Gbit gigabit; Mbit megabit; kbit kilobit; Gb gigabit;"
            "Mb megabit; kW kilowatt; MW megawatt; GW gigawatt; W watt; mW milliwatt;"
            "kWh kilowatt hour; MWh megawatt hour; Wh watt hour; V volt; kV kilovolt; mV millivolt;"
            "mA milliamp; mAh milliamp hour; Ah amp hour; kcal kilocalorie; cal calorie;"
            "kJ kilojoule; MJ megajoule; kN kilonewton; Pa pascal; kPa kilopascal;"
            "hPa hectopascal; MPa megapascal; Ω ohm; kΩ kilohm; dB decibel; MP megapixel;"
            "px pixel; h hour; hr hour; hrs hour; min minute; mins minute; s second; sec second;"
            "secs second; ms millisecond; µs microsecond; ns nanosecond; yr year; yrs year;"
            "wk week; wks week; mos month; mo month; K kelvin; lm lumen; mol mole; pcs piece; ° degree"
        ),
        "ft": ("foot", "feet"),
        **{
            f"{word}{gap}{short}": (f"{kind} {one}", f"{kind} {several}")
            for word, gap, kind in (
                ("sq", " ", "square"),
                ("sq.", " ", "square"),
                ("sq.", "", "square"),
                ("cu", " ", "cubic"),
                ("cu.", " ", "cubic"),
                ("cu.", "", "cubic"),
            )
            for short, one, several in (
                ("ft", "foot", "feet"),
                ("in", "inch", "inches"),
                ("yd", "yard", "yards"),
                ("mi", "mile", "miles"),
                ("m", "metre", "metres"),
                ("cm", "centimetre", "centimetres"),
                ("km", "kilometre", "kilometres"),
            )
        },
        "fl oz": ("fluid ounce", "fluid ounces"),
        "fl. oz": ("fluid ounce", "fluid ounces"),
        "pax": ("person", "people"),
        "pers": ("person", "people"),
        "ft²": ("square foot", "square feet"),
        "°C": ("degree Celsius", "degrees Celsius"),
        "° C": ("degree Celsius", "degrees Celsius"),
        "℃": ("degree Celsius", "degrees Celsius"),
        "°F": ("degree Fahrenheit", "degrees Fahrenheit"),
        "° F": ("degree Fahrenheit", "degrees Fahrenheit"),
        "℉": ("degree Fahrenheit", "degrees Fahrenheit"),
        "Hz": ("hertz", "hertz"),
        "kHz": ("kilohertz", "kilohertz"),
        "MHz": ("megahertz", "megahertz"),
        "GHz": ("gigahertz", "gigahertz"),
        "mph": ("mile per hour", "miles per hour"),
        "kph": ("kilometre per hour", "kilometres per hour"),
        "kmh": ("kilometre per hour", "kilometres per hour"),
        "rpm": ("revolution per minute", "revolutions per minute"),
        "bpm": ("beat per minute", "beats per minute"),
        "fps": ("frame per second", "frames per second"),
        "dpi": ("dot per inch", "dots per inch"),
        "ppm": ("part per million", "parts per million"),
        "ppb": ("part per billion", "parts per billion"),
        "psi": ("pound per square inch", "pounds per square inch"),
        "Mbps": ("megabit per second", "megabits per second"),
        "Gbps": ("gigabit per second", "gigabits per second"),
        "kbps": ("kilobit per second", "kilobits per second"),
        "mmHg": ("millimetre of mercury", "millimetres of mercury"),
        "pp": ("percentage point", "percentage points"),
        "bps": ("basis point", "basis points"),
        "bar": ("bar", "bar"),
        "lux": ("lux", "lux"),
        "mbps": ("megabit per second", "megabits per second"),
        "gbps": ("gigabit per second", "gigabits per second"),
        "hp": ("horsepower", "horsepower"),
        "★": ("star", "stars"),
        "⭐": ("star", "stars"),
        "%": ("percent", "percent"),
        "‰": ("per mille", "per mille"),
    }
    currencies: ClassVar = {
        "€": Currency(("euro", "euros"), ("cent", "cents")),
        "£": Currency(("pound", "pounds"), ("penny", "pence")),
        "$": Currency(("dollar", "dollars"), ("cent", "cents")),
        "US$": Currency(("U S dollar", "U S dollars"), ("cent", "cents")),
        "A$": Currency(("Australian dollar", "Australian dollars"), ("cent", "cents")),
        "AU$": Currency(("Australian dollar", "Australian dollars"), ("cent", "cents")),
        "C$": Currency(("Canadian dollar", "Canadian dollars"), ("cent", "cents")),
        "CA$": Currency(("Canadian dollar", "Canadian dollars"), ("cent", "cents")),
        "NZ$": Currency(("New Zealand dollar", "New Zealand dollars"), ("cent", "cents")),
        "HK$": Currency(("Hong Kong dollar", "Hong Kong dollars"), ("cent", "cents")),
        "S$": Currency(("Singapore dollar", "Singapore dollars"), ("cent", "cents")),
        "R$": Currency(("real", "reais"), ("centavo", "centavos")),
        "¥": Currency(("yen", "yen")),
        "₹": Currency(("rupee", "rupees"), ("paisa", "paise")),
        "₽": Currency(("rouble", "roubles"), ("kopeck", "kopecks")),
        "₺": Currency(("lira", "lira"), ("kurus", "kurus")),
        "₩": Currency(("won", "won")),
        "₪": Currency(("shekel", "shekels"), ("agora", "agorot")),
        "₴": Currency(("hryvnia", "hryvnias"), ("kopiyka", "kopiykas")),
        "₿": Currency(("bitcoin", "bitcoins")),
        "¢": Currency(("cent", "cents")),
        "zł": Currency(("zloty", "zlotys"), ("grosz", "groszy")),
        "Kč": Currency(("koruna", "korunas"), ("haler", "halers")),
        "kr": Currency(("krone", "kroner"), ("øre", "øre")),
        **dict.fromkeys(
            ("euro", "euros", "Euro", "Euros"), Currency(("euro", "euros"), ("cent", "cents"))
        ),
        "dollars": Currency(("dollar", "dollars"), ("cent", "cents")),
        "Rs.": Currency(("rupee", "rupees"), ("paisa", "paise")),
        "SFr.": Currency(("Swiss franc", "Swiss francs"), ("centime", "centimes")),
        "SFr": Currency(("Swiss franc", "Swiss francs"), ("centime", "centimes")),
        "Fr": Currency(("franc", "francs"), ("centime", "centimes")),
        "CHF": Currency(("Swiss franc", "Swiss francs"), ("centime", "centimes")),
        "SEK": Currency(("Swedish krona", "Swedish kronor"), ("öre", "öre")),
        "NOK": Currency(("Norwegian krone", "Norwegian kroner"), ("øre", "øre")),
        "DKK": Currency(("Danish krone", "Danish kroner"), ("øre", "øre")),
        "CNY": Currency(("yuan", "yuan"), ("fen", "fen")),
        "RMB": Currency(("renminbi", "renminbi"), ("fen", "fen")),
        "HUF": Currency(("forint", "forints")),
    }
    magnitudes: ClassVar = {
        **dict.fromkeys(("k", "K", "thousand"), ("thousand", "thousand")),
        **dict.fromkeys(
            ("m", "M", "mn", "mln", "mio", "Mio", "million", "millions"), ("million", "million")
        ),
        **dict.fromkeys(("b", "B", "bn", "Bn", "billion", "billions"), ("billion", "billion")),
        "lakh": ("lakh", "lakh"),
        "crore": ("crore", "crore"),
        **dict.fromkeys(("tn", "trn", "T", "trillion"), ("trillion", "trillion")),
    }
    rates: ClassVar = {
        **dict.fromkeys(("pcm", "p.c.m"), "per calendar month"),
        **dict.fromkeys(("pw", "p/w", "p.w"), "per week"),
        **dict.fromkeys(("pm", "p/m", "p.m"), "per month"),
        **dict.fromkeys(("pa", "p/a", "p.a"), "per annum"),
        **dict.fromkeys(("pp", "p/p", "p.p"), "per person"),
        **dict.fromkeys(("ph", "p/h", "p.h"), "per hour"),
        **dict.fromkeys(("pn", "p/n", "p.n"), "per night"),
        **dict.fromkeys(("pd", "p/d"), "per day"),
        "pppn": "per person per night", "ppn": "per person per night", "pppw": "per person per week",
        "ea": "each",
    }  # fmt: skip
    months: ClassVar = {
        **{name: number for number, name in enumerate(_MONTHS, 1)},
        **{name: number for number, name in enumerate(_ABBREVIATED_MONTHS, 1)},
        **{name.lower(): number for number, name in enumerate(_MONTHS, 1) if number not in {3, 5}},
        "Sept": 9,
    }  # fmt: skip
    weekdays: ClassVar = {
        "Mon": "Monday", "Tue": "Tuesday", "Tues": "Tuesday", "Wed": "Wednesday",
        "Thu": "Thursday", "Thur": "Thursday", "Thurs": "Thursday", "Fri": "Friday",
        "Sat": "Saturday", "Sun": "Sunday",
    }  # fmt: skip
    abbreviations: ClassVar = {
        **{
            short: Abbreviation(words)
            for short, words in {
                "e.g": "for example", "eg": "for example", "i.e": "that is", "etc": "et cetera",
                "approx": "approximately", "vs": "versus", "Mr": "Mister", "Mrs": "Missus",
                "Prof": "Professor", "Ltd": "Limited", "Inc": "Incorporated",
                "Corp": "Corporation", "Dept": "Department", "dept": "department",
                "Ave": "Avenue", "Blvd": "Boulevard", "Rd": "Road", "incl": "including",
                "excl": "excluding", "w/o": "without", "c/o": "care of", "a.k.a": "also known as",
                "aka": "also known as", "cf": "compare", "viz": "namely", "et al": "and others",
                "Assoc": "Associate", "Asst": "Assistant", "asst": "assistant", "govt": "government",
                "Govt": "Government", "mgmt": "management", "Mgr": "Manager", "Sgt": "Sergeant",
                "Lt": "Lieutenant", "Capt": "Captain", "Cpt": "Captain", "Cmdr": "Commander",
                "Adm": "Admiral", "Univ": "University", "tel": "telephone", "Tel": "Telephone",
                "yr": "year", "yrs": "years", "mths": "months", "mth": "month", "hrs": "hours", "mins": "minutes", "w/": "with", "p.a": "per annum", "YoY": "year on year",
                "w/c": "week commencing", "w/b": "week beginning", "w/e": "week ending",
                "y/o": "year old", "b/c": "because", "p/t": "part time", "f/t": "full time",
                "WWI": "World War One", "WWII": "World War Two",
                "n/a": "not applicable", "N/A": "not applicable", "b/w": "black and white",
                "Jr": "Junior", "Sr": "Senior", "Bros": "Brothers", "Hwy": "Highway",
                "Pte": "Private", "St": "Saint", "Dr": "Doctor", "Mt": "Mount", "Ft": "Fort",
                "Messrs": "Messieurs", "Ms": "Ms", "plc": "P L C", "Esq": "Esquire", "qty": "quantity", "Qty": "Quantity", "Intl": "International",
            }.items()
        },
        **{
            short: Abbreviation(words, dot=True)
            for short, words in {
                "Gen": "General", "Col": "Colonel", "Rev": "Reverend", "Hon": "Honourable",
                "min": "minimum", "Min": "Minimum", "max": "maximum", "Max": "Maximum",
                "est": "estimated", "Est": "Established", "Co": "Company",
                "resp": "respectively", "dist": "district", "ed": "editor", "eds": "editors",
                "Sq": "Square", "Pl": "Place", "Ln": "Lane", "Ct": "Court", "Sen": "Senator",
                "Gov": "Governor", "Pres": "President", "ref": "reference", "Ref": "Reference",
                "gov": "government", "sec": "section", "temp": "temperature", "avg": "average",
                "feat": "featuring", "mo": "months", "wk": "week", "trans": "translated",
                "orig": "originally", "misc": "miscellaneous",
                "opp": "opposite", "inst": "institute", "Inst": "Institute", "Mfg": "Manufacturing",
                "Jan": "January", "Feb": "February", "Mar": "March", "Apr": "April", "Jun": "June", "Jul": "July", "Aug": "August", "Sept": "September",
                "Oct": "October", "Nov": "November", "Dec": "December",
            }.items()
        },
        "v": Abbreviation("versus", before="capital"),
        **{
            short: Abbreviation(words, dot=short in _WITH_STOP, before="digit")
            for short, words in {
                "No": "number", "no": "number", "Nos": "numbers", "nos": "numbers", "Nr": "number",
                "p": "page", "pp": "pages", "Fig": "figure", "fig": "figure", "Figs": "figures",
                "Vol": "volume", "vol": "volume", "Ch": "chapter", "ch": "chapter",
                "c": "circa", "ca": "circa", "ext": "extension", "Ext": "extension",
                "Art": "article", "art": "article", "Sec": "section", "b": "born", "d": "died",
                "Apt": "apartment", "apt": "apartment", "Pt": "part", "para": "paragraph",
                "vols": "volumes", "ver": "version", "Ver": "version", "Rm": "room", "est": "established",
                "Est": "Established",
            }.items()
        },
    }  # fmt: skip
    signs: ClassVar = {
        "|": ",",
        "≥": "at least", "≤": "at most", "≈": "about", "~": "about", "±": "plus or minus",
        "=": "equals", "≠": "is not equal to", "<": "less than", ">": "more than",
        "&": "and", "+": "plus", "×": "times", "÷": "divided by", "−": "minus", "→": "to",
        "←": "from", "↔": "to and from", "⇒": "leads to", "#": "number", "§": "section", "§§": "sections", "%": "percent", "‰": "per mille",
        "©": "copyright", "®": "registered", "™": "trademark", "°": "degrees", "@": "at",
        "*": "star", "^": "to the power of", "√": "the square root of", "∞": "infinity",
        "∑": "the sum of", "≡": "is identical to", "∈": "in", "€": "euros", "£": "pounds",
        "$": "dollars", "¥": "yen", "₹": "rupees", "¢": "cents", "✓": "tick", "✔": "tick",
        "✗": "cross", "★": "star", "☆": "star", "µ": "micro", "№": "number", "\\": "backslash",
        "‱": "per ten thousand", "Ω": "ohms", "♥": "heart", "❤": "heart", "†": "dagger",
        "¶": "paragraph", "½": "half", "^2": "squared", "_": "underscore", "/": "slash",
        "==": "equals", ">=": "at least", "<=": "at most", "!=": "is not equal to", "->": "to",
        "=>": "leads to", "++": "plus plus",
    }  # fmt: skip
    spelt: ClassVar = frozenset(
        "USA UCLA USSR IEEE API CEO CIO COO CFO FAQ IBM CIA FBI AI UI UX ETA IOU OECD RSVP UEFI IOS "
        "ACLU NAACP OEM IPO IPA ISBN ISO IEC AES UDP EOS EULA EEA EMEA OKR SEO AGM AOB "
        "ECG EEG IVF HIV DIY DOB ICU UAE IATA ICAO UCL LSE BBC ABC AAA AA BSc MSc PhD BEd MEd DPhil "
        "MPhil LLB LLM GmbH pH".split()
    )
    pronounced: ClassVar = frozenset(
        "NASA NATO UNESCO UNICEF OPEC ASEAN AIDS COBOL ALGOL UNIVAC ENIAC FORTRAN BASIC LISP LASER "
        "RADAR SONAR SCUBA RAM ROM SIM PIN GIF JPEG JSON YAML AJAX REST SOAP LAN WAN MAC VAT FIFA UEFA "
        "COVID SARS PAC WAV ZIP NAT CAD CAM SAT LSAT GMAT NIMBY SWAT OK TOEFL DARPA ARPA ARPANET "
        "RAID SAAS BIOS CERN NIST GAAP EBIT EBITDA SQUID OSHA HIPAA ACID CRUD DOS GUI WASP "
        "A I AN AS AT BE BY DO GO HE IF IN IS ME MY NO OF ON OR SO TO UP WE ALL AND ANY ARE BUT CAN "
        "DAY DID FEW FOR GET HAD HAS HER HIM HIS HOW ITS LET MAY NEW NOT NOW OFF OLD ONE OUR OUT OWN "
        "PAY SAY SEE SHE THE TOO TOP TWO USE WAS WAY WHO WHY YES YET YOU MAX MIN NEW BIG BAD RED "
        "END ADD ASK TRY RUN SET PUT BUY JOB KEY LOW MEN CAR BUS EAT ONLY VIVA STOP".split()
    )
    scripts: ClassVar = {
        "CJK": "Chinese", "HIRAGANA": "Japanese", "KATAKANA": "Japanese", "HANGUL": "Korean",
        "CYRILLIC": "Cyrillic", "ARABIC": "Arabic", "HEBREW": "Hebrew", "GREEK": "Greek",
        "DEVANAGARI": "Devanagari", "THAI": "Thai", "BOPOMOFO": "Chinese",
    }  # fmt: skip
    phone_cue = ends_with(
        r"(?:number(?:['’]s|\s+is)|call|ring|phone|tel|telephone|dial|fax|mobile|cell|hotline|helpline"
        r"|text|sms|whatsapp|extension|ext|freephone|landline|switchboard|voicemail|emergency"
        r"|emergencies)"
        r"(?:\s+(?:us|me|him|her|them|is|it|on|at|to|number|no|the|a|our|line|office|reception|desk"
        r"|emergency|workshop|[A-Z][a-z]+|HELP|STOP)){0,4}"
        r"(?:\s+(?:\+?[\d ()/-]{2,20}?),?\s*(?:or|and|,)){0,3}"
    )
    code_cue = ends_with(
        r"(?:code|pin|isbn|iban|issn|account|sort code|order|invoice|ticket|booking|reference|ref"
        r"|id|serial|licen[cs]e|registration|customer|case|tracking|passport|postcode|zip|password)"
        r"(?:\s+(?:number|no|code|is|id|the|ref))*"
    )
    year_cue = ends_with(
        "in|since|from|until|till|by|before|after|during|around|about|circa|c|year|of|and|to|early"
        "|late|mid|spring|summer|autumn|fall|winter|between|©|copyright|est|established|founded"
        "|born|b|died|d|edition|version|january|february|march|april|june|july|august|september"
        "|october|november|december|may"
    )
    count_cue = ends_with(
        "over|nearly|almost|than|up to|at least|at most|exactly|another|only|total|roughly"
        "|approximately|some|all|these|those|every|costs?|weighs|number|×|x|room|flat|unit|page"
        "|pages|line|lines|port"
    )
    roman_cue = ends_with(
        "chapter|part|act|book|volume|vol|war|type|phase|stage|class|title|article|section|level"
        "|grade|mark|mk|apollo|tier|category|annex|appendix|table|figure|scene|schedule|group"
        "|division|round|episode|season|module|unit|step|bowl|§|chapters|parts|acts|books|volumes"
        "|vols|wars|types|phases|stages|classes|titles|articles|sections|levels|grades|tables|scenes"
    )
    regnal_cue = re.compile(
        r"\b(?:Henry|Louis|Elizabeth|George|Charles|James|William|Edward|Richard|Philip|Felipe"
        r"|John|Paul|Pius|Leo|Benedict|Francis|Napoleon|Frederick|Friedrich|Wilhelm|Nicholas"
        r"|Alexander|Catherine|Peter|Ivan|Mary|Henri|Karl|Carl|Otto|Ramses|Ramesses|Victor"
        r"|Leopold|Albert|Christian|Gustav|Olaf|Harald|Margrethe|Juan|Carlos|Pope|Franz|Joseph"
        r"|Ferdinand|Ludwig|Innocent|Gregory|Clement|Urban|Darius|Xerxes|Cleopatra|Ptolemy"
        r"|Edmund|Robert|Malcolm|David|Haakon|Umberto|Emmanuel|Maximilian|Rudolf|Selim|Murad)\s$"
    )
    version_cue = ends_with(VERSIONED)
    verse_cue = re.compile(
        r"\b(?:Genesis|Exodus|Leviticus|Deuteronomy|Joshua|Judges|Ruth|Samuel|Kings|Chronicles|Ezra"
        r"|Nehemiah|Esther|Job|Psalms?|Proverbs|Ecclesiastes|Isaiah|Jeremiah|Ezekiel|Daniel|Hosea"
        r"|Joel|Amos|Jonah|Micah|Matthew|Mark|Luke|John|Acts|Romans|Corinthians|Galatians"
        r"|Ephesians|Philippians|Colossians|Thessalonians|Timothy|Titus|Hebrews|James|Peter|Jude"
        r"|Revelation)\s$"
    )
    titled = re.compile(
        r"\b(?:King|Queen|Pope|Emperor|Empress|Tsar|Czar|Kaiser|Prince|Duke|Sultan|Saint|St)\.?"
        r"(?:\s[A-Z]\w+){1,2}\s$"
    )
    ranked = re.compile(
        r"(?P<th>(?:th|st|nd|rd)?)[\s-](?:[Cc]entury|[Cc]enturies|Dynasty|Olympi\w+|Congress|Legion|Corps|edition)\b"
    )
    counted = re.compile(
        r"\s(?:[a-z]+(?:al|ed|ing|ic|ive|ful|ous|ary|er|ew|ong)\s)?(?!(?:is|was|has|as|its|this|plus|versus|does|"
        r"us|thus|yes|perhaps|always|across|towards|besides|unless|sees|saw|sales|afterwards)\b)"
        r"(?:[a-z]+s|people|men|women|children|staff|percent|euro|copies)\b"
    )
    score_cue = re.compile(
        r"\b(?:won|win|wins|lost|lose|beat|drew|draw|score|scored|victory|defeat|led|lead|finished"
        r"|ended|result)\b[^.!?\d]{0,40}$",
        re.IGNORECASE,
    )
    mark_cue = re.compile(
        r"\b(?:rat(?:ed|es|ing)|scor(?:e|ed|es|ing)|marks?|marked|grade|graded|got|gets|gave|gpa)\b"
        r"[^.!?\d]{0,30}$",
        re.IGNORECASE,
    )
    noun = re.compile(
        r"[\s-](?!(?:of|in|a|an|the|per|for|and|or|is|are|was|were|from|to|at|on|by|with|if|as|each"
        r"|every|when|but|plus|minus|long|tall|wide|high|deep|away|off|more|less|ago|today)\b)[a-z]{2,}"
    )
    article = re.compile(r"\b(?:an?|another|every|one)\s+$", re.IGNORECASE)
    clock_cue_words = (
        r"\b(?:leaves?|departs?|departures?|arrives?|arrivals?|starts?|begins?|opens?|open|closes?"
        r"|closed|closing|opening|ends?|served|serves?|doors|shuts?|finish(?:es)?|meets?|meeting"
        r"|breakfast|brunch|lunch|dinner|supper|tea|train|bus|coach|flight|ferry|runs?|class(?:es)?"
        r"|lessons?|lectures?|talks?|sessions?|sails?|boards?|boarding|check-?in|check-?out|hours"
        r"|daily|every\sday|weekdays|weekends|appointments?|mass|service|show|film|tour|concert"
        r"|registration|today|tomorrow|tonight|last\sorders)\b"
    )
    from_or_at = r"(?:at|from|between|until|till|by|before|after)"
    clock_cue = re.compile(rf"{clock_cue_words}[^.;:]{{0,30}}\b{from_or_at}\s$", re.IGNORECASE)
    day_cue = re.compile(
        r"(?:\b(?:on|by|until|till|from|since|before|after|due|dated|(?:Mon|Tues|Wednes|Thurs|Fri|Satur"
        r"|Sun)day,?)|\b(?:on|from|between|by)\s\d{1,2}[./]\d{1,2}\.?\s(?:and|or|to|until))\s$",
        re.IGNORECASE,
    )
    until_now = re.compile(r"(?:present|today|now|date|current|ongoing)\b", re.IGNORECASE)

    point, minus, plus, to, and_ = "point", "minus", "plus", "to", "and"
    per, by, times, ratio, out_of = "per", "by", "times", "to", "out of"
    over, nil, noughties, full_hours = "over", "nil", "noughties", "hundred hours"
    percent, power, squared, cubed = "percent", "to the power of", "squared", "cubed"
    at, dot, slash, hyphen, underscore = "at", "dot", "slash", "dash", "underscore"
    number = "number"
    stars: ClassVar = ("star", "stars")
    noon = "noon|midday|midnight|late|close"
    angles: ClassVar = (("degree", "degrees"), ("minute", "minutes"), ("second", "seconds"))
    sides: ClassVar = {"N": "north", "S": "south", "E": "east", "W": "west"}
    feet: ClassVar = ("foot", "feet")
    inches: ClassVar = ("inch", "inches")
    foreign_word, foreign_text = "a word in {script} script", "text in {script} script"

    def cardinal(self, number: int) -> str:
        return numbers.english(number)

    def ordinal(self, number: int, before: str) -> str:
        return numbers.english_ordinal(number)

    def fraction(self, count: int, parts: int, *, after_whole: bool = False) -> str:
        if parts == 2:
            return "a half" if after_whole else "half"
        one = "quarter" if parts == 4 else numbers.english_ordinal(parts)
        article = "an" if one[0] in "aeio" and not one.startswith("one") else "a"
        return (
            f"{article} {one}"
            if count == 1
            else f"{self.cardinal(count)} {numbers.english_plural(one)}"
        )

    def part_of(self, fraction: str, unit: str) -> str:
        article = "an" if unit[0] in "aeio" and unit[:4] != "euro" else "a"
        return (
            f"{fraction} {article} {unit}"
            if fraction == "half"
            else f"{fraction} of {article} {unit}"
        )

    def year(self, year: int) -> str:
        return numbers.english_year(year)

    def plural(self, words: str) -> str:
        return numbers.english_plural(words)

    def day(self, day: int, month: int, before: str, *, month_first: bool) -> str:
        the = "" if re.search(r"\bthe\s+$", before, re.IGNORECASE) else "the "
        rank = numbers.english_ordinal(day)
        if month_first:
            return f"{self.month(month)} the {rank}"
        return f"{the}{rank} of {self.month(month)}" if month else f"{the}{rank}"

    def month(self, month: int) -> str:
        return _MONTHS[month - 1]

    def clock(self, hour: int, minute: int, half: str) -> str:
        after = f" {self.spell(half)}" if half else ""
        if half:
            hour = hour % 12 or 12
        if minute:
            past = f"oh {self.cardinal(minute)}" if minute < 10 else self.cardinal(minute)
            return f"{self.cardinal(hour)} {past}{after}"
        if half:
            return self.cardinal(hour) + after
        if hour % 24 == 0:
            return "midnight"
        return f"{self.cardinal(hour)} " + ("o'clock" if hour <= 12 else "hundred")

    def duration(self, hours: int, minutes: int, seconds: int) -> str:
        parts = [
            f"{self.cardinal(count)} {name}" + ("s" if count != 1 else "")
            for count, name in ((hours, "hour"), (minutes, "minute"), (seconds, "second"))
            if count
        ]
        return " ".join(parts) or "zero seconds"

    def regnal(self, number: int) -> str:
        return f"the {numbers.english_ordinal(number)}"


def _american(name: str) -> str:
    return name.replace("metre", "meter").replace("litre", "liter")


class AmericanEnglish(English):
    """As English is said in America: months first, meters and liters."""

    code = "en-US"
    month_first = True
    units: ClassVar = {
        sign: (_american(one), _american(several)) for sign, (one, several) in English.units.items()
    }

    def day(self, day: int, month: int, before: str, *, month_first: bool) -> str:
        if month and month_first:
            return f"{self.month(month)} {numbers.english_ordinal(day)}"
        return super().day(day, month, before, month_first=False)
