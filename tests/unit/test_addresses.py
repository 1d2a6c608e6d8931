"""Postal addresses have the lines that their country's post asks for."""

# Each address stands in one line.
# ruff: noqa: E501

import pytest
from babel.core import Locale

from orders.mailing.addresses import customer_lines, postal_lines
from orders.mailing.formatting import Formats
from orders.models import Country, CustomerSummary, State

# In the forms of https://www.upu.int/en/postal-solutions/programmes-services/addressing-solutions, with cities and
# states in capitals where libaddressinput has them so. `name|company|street|second line|city|state|post code`.
# fmt: off
ADDRESSES = {
    "AE": ("فاطمة||PO Box 2||Dubai|Dubai|", "فاطمة / PO Box 2 / Dubai"),
    "AR": ("José Núñez||Calle Perú 540||Buenos Aires||C1068AAB", "José Núñez / Calle Perú 540 / C1068AAB BUENOS AIRES"),
    "AT": ("Jörg||Pazmaniteng 24-9||Wien||1020", "Jörg / Pazmaniteng 24-9 / 1020 Wien"),
    "AU": ("Zoë|Café Pty|200 Broadway Av||West Beach|South Australia|5024", "Café Pty / Zoë / 200 Broadway Av / WEST BEACH SA 5024"),
    "BE": ("Anaïs||Rue du Vivier 7C||Bruxelles||1000", "Anaïs / Rue du Vivier 7C / 1000 Bruxelles"),
    "BR": ("João||Rua Visconde 12|Ap. 3|São Paulo|São Paulo|01310-100", "João / Rua Visconde 12 / Ap. 3 / SÃO PAULO-SP / 01310-100"),
    "CA": ("Renée||10-123 1/2 Main St NW||Montréal|Quebec|h3z 2y7", "Renée / 10-123 1/2 Main St NW / MONTRÉAL QC H3Z 2Y7"),
    "CH": ("Zoé||Rue du Grenier 1||Genève|GE|1204", "Zoé / Rue du Grenier 1 / CH-1204 Genève / GE"),
    "CL": ("Íñigo||Moneda 1155||Santiago|Región Metropolitana|8340457", "Íñigo / Moneda 1155 / 8340457 Santiago / Región Metropolitana"),
    "CN": ("王伟|北京商店|建国门外大街1号||朝阳区|北京市|100022", "100022 / 北京市朝阳区 / 建国门外大街1号 / 北京商店 / 王伟"),
    "CO": ("Nicolás||Calle 12 # 34-56||Medellín|Antioquia|050012", "Nicolás / Calle 12 # 34-56 / Medellín, Antioquia, 050012"),
    "CZ": ("Jiří||Lesní 14||Praha 1||110 00", "Jiří / Lesní 14 / 110 00 Praha 1"),
    "DE": ("Jürgen|Weiß & Söhne|Rhondorfer Str. 666|Appartement 47|Köln|NRW|50939", "Jürgen / Weiß & Söhne / Rhondorfer Str. 666 / Appartement 47 / 50939 Köln / NRW"),
    "DK": ("Søren||Kastanievej 15, 2.||København N||2200", "Søren / Kastanievej 15, 2. / 2200 København N"),
    "EG": ("أحمد||١٢ شارع التحرير||القاهرة|القاهرة|11511", "أحمد / ١٢ شارع التحرير / القاهرة / القاهرة / 11511"),
    "ES": ("Begoña||Calle Aduana 29||Alcalá de Henares|Madrid|28070", "Begoña / Calle Aduana 29 / 28070 ALCALÁ DE HENARES MADRID"),
    "FI": ("Päivi|Kööki Oy|Mäkelänkatu 25 B 13||Helsinki||00550", "Kööki Oy / Päivi / Mäkelänkatu 25 B 13 / FI-00550 Helsinki"),
    "FR": ("Aurélie|Société D.|25 rue de l'Église||Caudéran Cedex||33506", "Société D. / Aurélie / 25 rue de l'Église / 33506 CAUDÉRAN CEDEX"),
    "GB": ("Siân||1 Heol y Frenhines||Caerdydd|Cymru|cf10 2by", "Siân / 1 Heol y Frenhines / CAERDYDD / Cymru / CF10 2BY"),
    "GR": ("Γιώργος||Αγίου Δημητρίου 5||Θεσσαλονίκη||546 23", "Γιώργος / Αγίου Δημητρίου 5 / 546 23 Θεσσαλονίκη"),
    "HK": ("陳大文||彌敦道99號||尖沙咀|九龍|", "九龍 / 尖沙咀 / 彌敦道99號 / 陳大文"),
    "HU": ("Győző||Honvéd utca 13-15.||Törökbálint||2045", "Győző / TÖRÖKBÁLINT / Honvéd utca 13-15. / 2045"),
    "ID": ("Siti||Jalan Cempaka 12||Bandung|Jawa Barat|40115", "Siti / Jalan Cempaka 12 / Bandung / Jawa Barat 40115"),
    "IE": ("Seán||3 Sráid an Droichid||Corcaigh|Co. Cork|T12 X70A", "Seán / 3 Sráid an Droichid / Corcaigh / Co. Cork / T12 X70A"),
    "IL": ("נועה||רחוב הרצל 16||ירושלים||9546403", "נועה / רחוב הרצל 16 / ירושלים 9546403"),
    "IN": ("प्रिया||12 MG Road||Bengaluru|Karnataka|560001", "प्रिया / 12 MG Road / Bengaluru 560001 / Karnataka"),
    "IT": ("Niccolò||Viale Europa 22||Forlì|Forlì-Cesena|47121", "Niccolò / Viale Europa 22 / 47121 FORLÌ FC"),
    "JP": ("山田太郎|霞商店|霞が関1丁目3-2|郵便ビル5階|千代田区|東京都|〒100-8798", "〒100-8798 / 東京都千代田区 / 霞が関1丁目3-2 / 郵便ビル5階 / 霞商店 / 山田太郎"),
    "KR": ("홍길동||세종대로 209||종로구|서울특별시|03171", "서울특별시 종로구 / 세종대로 209 / 홍길동 / 03171"),
    "MX": ("Íñigo Núñez||Calle Olmos 14|Col. Centro|Mérida|Yucatán|97000", "Íñigo Núñez / Calle Olmos 14 / Col. Centro / 97000 MÉRIDA, YUC."),
    "MY": ("Nurul||12 Jalan Ampang||Kuala Lumpur|Kuala Lumpur|50450", "Nurul / 12 Jalan Ampang / 50450 KUALA LUMPUR / KUALA LUMPUR"),
    "NL": ("Zoë||Morspoort 1||Curaçaostad||3512 LH", "Zoë / Morspoort 1 / 3512 LH Curaçaostad"),
    "NO": ("Åse||Lillegata 2|3. etasje|Tromsø||9008", "Åse / Lillegata 2 / 3. etasje / 9008 Tromsø"),
    "NZ": ("Hēmi||43 Vogel Street||Kawerau||3127", "Hēmi / 43 Vogel Street / Kawerau 3127"),
    "PH": ("Niño||12 Rizal St||Las Piñas|Metro Manila|1740", "Niño / 12 Rizal St / Las Piñas / 1740 Metro Manila"),
    "PL": ("Łukasz||ul. Świętokrzyska 3/5||Łódź|łódzkie|91-498", "Łukasz / ul. Świętokrzyska 3/5 / 91-498 Łódź / łódzkie"),
    "PT": ("Inês||Av. Dom João II 3||Setúbal||2910-001", "Inês / Av. Dom João II 3 / 2910-001 Setúbal"),
    "RO": ("Ștefan||Str. Mihai Eminescu 5||București||010511", "Ștefan / Str. Mihai Eminescu 5 / 010511 BUCUREȘTI"),
    "RU": ("Иван Ёлкин||ул. Лесная, д. 5||Тула|Тульская область|300000", "Иван Ёлкин / ул. Лесная, д. 5 / ТУЛА / Тульская область / 300000"),
    "SA": ("نورة||8228 شارع الإمام||الرياض||12643", "نورة / 8228 شارع الإمام / الرياض 12643"),
    "SE": ("Åsa|Kök AB|Storgatan 1||Malmö||211 34", "Kök AB / Åsa / Storgatan 1 / SE-211 34 Malmö"),
    "SG": ("李明||16 Sandilands Rd|#03-04|Singapore||546080", "李明 / 16 Sandilands Rd / #03-04 / SINGAPORE 546080"),
    "TH": ("สมชาย||111 ถนนสุขุมวิท||คลองเตย|กรุงเทพมหานคร|10110", "สมชาย / 111 ถนนสุขุมวิท / คลองเตย / กรุงเทพมหานคร 10110"),
    "TR": ("Çağla||Güneş Sok. 5||Şişli|İstanbul|34367", "Çağla / Güneş Sok. 5 / 34367 Şişli/İstanbul"),
    "TW": ("劉先生|巨大單車|信義路三段33號||大安區|台北市|106", "106 / 台北市大安區 / 信義路三段33號 / 巨大單車 / 劉先生"),
    "UA": ("Їжак||вул. Хрещатик 22||Київ||01001", "Їжак / вул. Хрещатик 22 / Київ / 01001"),
    "US": ("Zoë|Café Inc|1098 Alta Ave|Apt 2|Mt View|California|94043", "Zoë / Café Inc / 1098 Alta Ave / Apt 2 / MT VIEW, CA 94043"),
    "VN": ("Nguyễn Ánh||12 Lê Lợi||Quận 1|Hồ Chí Minh|700000", "Nguyễn Ánh / 12 Lê Lợi / Quận 1 / Hồ Chí Minh 700000"),
    "ZA": ("Noluthandó||9 Kloof St||Kaapstad|Wes-Kaap|8001", "Noluthandó / 9 Kloof St / Kaapstad / Wes-Kaap / 8001"),
}
"""Addresses, and their lines as they are printed by a shop in another country."""

LATIN = {
    "CN": ("Wang Wei||1 Jianguomen Outer St||Chaoyang|Beijing Shi|100022", "Wang Wei / 1 Jianguomen Outer St / Chaoyang / BEIJING SHI, 100022"),
    "HK": ("Chan||99 Nathan Rd||Tsim Sha Tsui|Kowloon|", "Chan / 99 Nathan Rd / Tsim Sha Tsui / KOWLOON"),
    "JP": ("山田太郎||1-3-2 Kasumigaseki||Chiyoda-ku|Tokyo|100-8798", "山田太郎 / 1-3-2 Kasumigaseki / Chiyoda-ku, TOKYO / 100-8798"),
    "KR": ("Hong Gildong||209 Sejong-daero||Jongno-gu|Seoul|03171", "Hong Gildong / 209 Sejong-daero / Jongno-gu / Seoul / 03171"),
    "TW": ("Mr. Liu||No. 33, Sec. 3, Xinyi Rd||Da-an District|Taipei City|106", "Mr. Liu / No. 33, Sec. 3, Xinyi Rd / Da-an District, Taipei City 106"),
}
# fmt: on
"""The same countries in Latin letters."""

FROM_LARGE_TO_SMALL = {"CN", "HK", "JP", "KR", "TW"}


def customer(typed: str, country: str | None) -> CustomerSummary:
    name, company, street, more, city, state, post_code = typed.split("|")
    return CustomerSummary(
        first_name=name,
        company_name=company,
        address_line_1=street,
        address_line_2=more,
        city=city,
        state=State(name=state) if state else None,
        post_code=post_code,
        country=Country(code=country) if country else None,
    )


@pytest.mark.parametrize("language", ["en", "ja", "ar"])
@pytest.mark.parametrize("country", ADDRESSES)
def test_address_has_the_lines_of_its_country(country: str, language: str) -> None:
    typed, lines = ADDRESSES[country]
    name = Locale(language).territories[country]
    ends = [name, lines] if country in FROM_LARGE_TO_SMALL else [lines, name]

    assert " / ".join(customer_lines(customer(typed, country), Formats(language, country, "EUR"), "XX")) == " / ".join(
        ends
    )


@pytest.mark.parametrize("country", LATIN)
def test_address_in_latin_letters_has_the_international_order(country: str) -> None:
    typed, lines = LATIN[country]
    name = Locale("en").territories[country]

    assert " / ".join(customer_lines(customer(typed, country), Formats("en", country, "EUR"))) == f"{lines} / {name}"


@pytest.mark.parametrize(
    ("country", "code", "printed"),
    [
        ("US", "CA", "X, CA"),
        ("US", "US-CA", "X, CA"),
        ("BR", "SP", "X-SP"),
        ("IN", "MH", "X / Maharashtra"),
        ("ES", "B", "X BARCELONA"),
        ("JP", "13", "X, TOKYO"),
        ("MX", "YUC", "X, YUC."),
        ("CL", "?", "X / ?"),
    ],
)
def test_code_of_a_state_is_printed_as_the_country_writes_it(country: str, code: str, printed: str) -> None:
    lines = postal_lines(country, None, street=(), city="X", post_code=None, state=State(code=code))

    assert " / ".join(lines) == printed


@pytest.mark.parametrize(
    ("home", "line"), [("SE", "211 34 Malmö"), ("NO", "SE-211 34 Malmö"), (None, "SE-211 34 Malmö")]
)
@pytest.mark.parametrize("typed", ["211 34", "SE-211 34"])
def test_prefix_of_a_post_code_is_for_mail_from_abroad(home: str | None, line: str, typed: str) -> None:
    assert postal_lines("SE", home, street=(), city="Malmö", post_code=typed) == [line]


@pytest.mark.parametrize(
    ("country", "fields", "lines"),
    [
        # Nothing known about the country, or no country.
        ("AO", "||Rua 1||Luanda|Bengo|1000", "Rua 1 / 1000 Luanda / Bengo / Angola"),
        (None, "||Rua 1||Luanda|Bengo|1000", "Rua 1 / 1000 Luanda / Bengo"),
        # Fields for which the format has no place.
        ("HK", "||1 Pedder St||Central||999077", "1 Pedder St / Central 999077 / Hong Kong SAR China"),
        ("SG", "||||Jurong||609731", "Jurong / SINGAPORE 609731 / Singapore"),
        ("SG", "||||Singapore||", "Singapore / Singapore"),
        ("AE", "||||Al Ain|Abu Dhabi|", "Al Ain / Abu Dhabi / United Arab Emirates"),
        ("MO", "||殷皇子大馬路1號||澳門||", "Macao SAR China / 澳門 / 殷皇子大馬路1號"),
        # Missing fields leave no punctuation behind.
        ("US", "||||Mt View||94043", "MT VIEW 94043 / United States"),
        ("US", "|||||CA|94043", "CA 94043 / United States"),
        ("BR", "|||||SP|", "SP / Brazil"),
        ("JP", "||||||", "Japan"),
    ],
)
def test_incomplete_and_unusual_addresses(country: str | None, fields: str, lines: str) -> None:
    assert " / ".join(customer_lines(customer(fields, country), Formats("en", country, "EUR"))) == lines
