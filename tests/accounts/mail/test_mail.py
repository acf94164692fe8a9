"""Letters leave by Resend, by a mail server or into a folder, and say what went wrong if not."""

import asyncio
import stat
from collections.abc import Sequence
from email import message_from_bytes
from email.message import EmailMessage, Message
from email.policy import default
from pathlib import Path

import aiohttp
import pytest

from accounts.mail.letter import Letter, MailError, mailbox
from accounts.mail.mailer import Mailer
from accounts.mail.resend import Resend
from accounts.mail.smtp import Smtp
from settings import Settings, SettingsError
from simulators import resend, smtp
from simulators.resend import ResendSimulator
from simulators.smtp import Certificate, MailServer

LETTER = Letter(
    key="report:c-12ab34cd:grace@example.com",
    recipient="grace@example.com",
    subject="Your call",
    text="She wrote the first compiler, in 1952 («A-0»).\n",
    html="<p>She wrote the first compiler, in 1952 («A-0»).</p>\n",
    at=1_764_000_000.25,
)
SENDER = mailbox("Viva <viva@example.com>")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return Certificate.make(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def trusted(certificate: Certificate, monkeypatch: pytest.MonkeyPatch) -> Certificate:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.path))
    return certificate


def settings(**values: object) -> Settings:
    given = {"mail_from": "Viva <viva@example.com>", **values}
    return Settings(_env_file=None, **given)  # type: ignore[call-arg, arg-type]


def content(part: Message) -> str:
    assert isinstance(part, EmailMessage)
    said = part.get_content()
    assert isinstance(said, str)
    return said.replace("\r\n", "\n")


async def trouble(mail: Mailer, letter: Letter = LETTER) -> MailError:
    with pytest.raises(MailError) as caught:
        await mail.send(letter)
    await mail.close()
    return caught.value


# What a letter is.


def test_a_letter_is_the_same_to_the_byte_however_often_it_is_made() -> None:
    assert LETTER.message(SENDER).as_bytes() == LETTER.message(SENDER).as_bytes()


def test_a_letter_has_the_headers_of_a_mail_that_nobody_should_answer() -> None:
    message = message_from_bytes(LETTER.message(SENDER).as_bytes(), policy=default)
    assert message["From"] == "Viva <viva@example.com>"
    assert message["To"] == "grace@example.com"
    assert message["Subject"] == "Your call"
    assert message["Date"].datetime.timestamp() == 1_764_000_000
    assert message["Message-ID"] == f"<{LETTER.digest}@example.com>"
    assert "grace" not in LETTER.digest
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_content_type() == "multipart/alternative"
    plain, rich = message.iter_parts()
    assert (plain.get_content_type(), content(plain)) == ("text/plain", LETTER.text)
    assert (rich.get_content_type(), content(rich)) == ("text/html", LETTER.html)


def test_no_header_can_be_smuggled_in() -> None:
    sly = Letter("k", "a@example.com", "Hi\r\nBcc: all@example.com\x00\u2028X: y", "text")
    message = message_from_bytes(sly.message(SENDER).as_bytes(), policy=default)
    assert message["Bcc"] is None
    assert message["X"] is None
    assert message["Subject"] == "Hi Bcc: all@example.com X: y"
    with pytest.raises(ValueError, match="is not an address"):
        Letter("k", "a@example.com\r\nBcc: all@example.com", "s", "t").message(SENDER)


def test_no_part_can_be_ended_from_within() -> None:
    fake = f"--=_{LETTER.digest}\r\nContent-Type: text/html\r\n\r\n<script>\r\n"
    letter = Letter(LETTER.key, LETTER.recipient, "s", fake, "<p>honest</p>")
    message = message_from_bytes(letter.message(SENDER).as_bytes(), policy=default)
    plain, rich = message.iter_parts()
    assert content(plain) == fake.replace("\r\n", "\n")
    assert content(rich) == "<p>honest</p>\n"


def test_a_letter_is_lines_of_ascii_whatever_it_says() -> None:
    letter = Letter("k", "a@example.com", "ü" * 300, "é" * 3000, "<p>" + "x" * 3000)
    content = letter.message(mailbox('"Ünal, Viva" <viva@example.com>')).as_bytes()
    assert content.isascii()
    assert max(map(len, content.split(b"\r\n"))) <= 78
    message = message_from_bytes(content, policy=default)
    assert message["Subject"] == letter.subject
    assert message["From"].addresses[0].display_name == "Ünal, Viva"


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("a@example.com", "a@example.com"),
        (" A.b+c@Example.com ", "A.b+c@example.com"),
        ("Viva <viva@localhost>", "viva@localhost"),
        ('"Viva, <the>" <viva@localhost>', "viva@localhost"),
        ("a@bücher.example", "a@xn--bcher-kva.example"),
        ("a@BÜCHER.example", "a@xn--bcher-kva.example"),
        ("a@straße.example", "a@xn--strae-oqa.example"),  # strasse.example is somebody else's
        ("Ünal <a@example.com>", "a@example.com"),
    ],
)
def test_an_address_is_understood(given: str, address: str) -> None:
    assert mailbox(given).addr_spec == address


@pytest.mark.parametrize(
    "given",
    ["", "a", "a@", "@b", "a@b, c@d", "a@b c@d", "<a@b", "a@b>", "group: a@b;", "a b@c", "a..b@c",
     ".a@b", "a@b..c", "a@-b", "ü@b", "a@b_c", "a@b.c.", "a@xn--zz.example",
     "a@b\nBcc: c@d", "a@b\x00", f"{'a' * 250}@b.cd", "a@" * 999],
)  # fmt: skip
def test_what_is_no_address_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match=r"is not an address such as name@example\.com"):
        mailbox(given)


# What the settings choose.


def test_a_key_chooses_resend_an_address_the_mail_server_and_nothing_the_folder(
    tmp_path: Path,
) -> None:
    server = "smtp://viva:s%40fe@mail.example.com"
    assert (
        Mailer.from_settings(settings(resend_api_key="re_key", smtp_url=server)).where == "Resend"
    )
    assert Mailer.from_settings(settings(smtp_url=server)).where == "mail.example.com:587"
    smtps = Mailer.from_settings(settings(smtp_url="smtps://mail.example.com"))
    assert (smtps.where, smtps.delivers) == ("mail.example.com:465", True)
    folder = Mailer.from_settings(settings(data_dir=tmp_path))
    assert (folder.where, folder.delivers) == (str(tmp_path / "outbox"), False)


@pytest.mark.parametrize(
    "url",
    ["mail.example.com", "http://mail.example.com", "smtp://", "smtp://mail:port", "smtp://u@mail",
     "smtp://mail/path", "smtp://mail?tls=no", "smtp://u:hush@[mail"],
)  # fmt: skip
def test_a_wrong_mail_server_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(SettingsError, match=r"SMTP_URL .* write smtp://user:password") as caught:
        Mailer.from_settings(settings(smtp_url=url))
    assert "hush" not in str(caught.value)


def test_a_wrong_sender_is_named_with_what_is_allowed() -> None:
    with pytest.raises(SettingsError, match=r"MAIL_FROM='Viva' .* Name <name@example.com>"):
        Mailer.from_settings(settings(mail_from="Viva"))
    with pytest.raises(SettingsError, match=r"MAIL_FROM=.*verified at https://resend.com/domains"):
        Mailer.from_settings(settings(mail_from="viva@localhost", resend_api_key="re_key"))


# Resend.


def by_resend(vendor: ResendSimulator, **values: object) -> Mailer:
    chosen = {"resend_api_key": "re_key", "resend_base_url": vendor.url} | values
    return Mailer.from_settings(settings(**chosen))


async def test_resend_gets_the_letter_and_its_key() -> None:
    async with ResendSimulator() as vendor:
        mail = by_resend(vendor)
        await mail.send(LETTER)
        await mail.close()
    (taken,) = vendor.accepted
    assert taken.key == LETTER.digest
    assert taken.body == {
        "from": "Viva <viva@example.com>",
        "to": ["grace@example.com"],
        "subject": LETTER.subject,
        "text": LETTER.text,
        "html": LETTER.html,
        "headers": {"Auto-Submitted": "auto-generated", "X-Entity-Ref-ID": LETTER.digest},
    }


async def test_a_lost_answer_of_resends_costs_no_second_mail() -> None:
    async with ResendSimulator(faults=[resend.Fault(accepted=True)]) as vendor:
        mail = by_resend(vendor)
        with pytest.raises(MailError, match="Resend cannot be reached") as caught:
            await mail.send(LETTER)
        assert not caught.value.permanent
        await mail.send(LETTER)
        await mail.close()
    assert vendor.requests == 2
    assert len(vendor.accepted) == 1


@pytest.mark.parametrize(
    ("fault", "permanent", "after", "said"),
    [
        ((429, "rate_limit_exceeded", "Too many requests.", {"retry-after": "7"}),
         False, 7.0, "Resend answered 429 rate_limit_exceeded: Too many requests."),
        ((429, "daily_quota_exceeded", "You have reached your daily quota."),
         False, None, "daily quota"),
        ((500, "application_error", "Something went wrong."), False, None, "answered 500"),
        ((502, "", ""), False, None, "Resend answered 502"),
        ((403, "validation_error", "The domain is not verified."), False, None, "not verified"),
        ((422, "invalid_from_address", "Invalid `from` field."), False, None, "from"),
        ((409, "concurrent_idempotent_requests", "In progress."), False, None, "409"),
        ((409, "invalid_idempotent_request", "Different payload."), True, None, "payload"),
        ((422, "validation_error", "Invalid `to` field."), True, None, "Invalid `to` field."),
        ((451, "security_error", "A security issue was found."), True, None, "451"),
        ((301, "", "", {"location": "http://127.0.0.1:9/"}), False, None, "answered 301"),
    ],
)  # fmt: skip
async def test_resends_errors_say_whether_to_come_back(
    fault: tuple[int, str, str, dict[str, str]], permanent: bool, after: float | None, said: str
) -> None:
    async with ResendSimulator(faults=[resend.Fault(*fault)]) as vendor:
        error = await trouble(by_resend(vendor))
    assert (error.permanent, error.retry_after_secs) == (permanent, after)
    assert said in str(error)


async def test_a_wrong_key_of_resends_is_the_operators_to_mend_and_never_shown() -> None:
    async with ResendSimulator() as vendor:
        error = await trouble(by_resend(vendor, resend_api_key="re_secret"))
    assert not error.permanent
    assert "is RESEND_API_KEY right?" in str(error)
    assert "re_secret" not in str(error)


async def test_a_resend_that_does_not_answer_is_left_in_time() -> None:
    async with ResendSimulator(faults=[resend.Fault(500, "x", delay_secs=0.2)]) as vendor:
        mail = Mailer(Resend("re_key", vendor.url, timeout_secs=0.1), SENDER)
        assert not (await trouble(mail)).permanent


async def test_resends_simulator_refuses_what_resend_refuses() -> None:
    wrong: Sequence[tuple[dict[str, str], dict[str, object], int, str]] = [
        ({"Authorization": ""}, {}, 401, "missing_api_key"),
        ({"Authorization": "Bearer re_no"}, {}, 403, "invalid_api_key"),
        ({"Idempotency-Key": "k" * 257}, {}, 400, "invalid_idempotency_key"),
        ({}, {"to": None}, 422, "missing_required_field"),
        ({}, {"to": ["nobody"]}, 422, "validation_error"),
        ({}, {"from": "nobody"}, 422, "invalid_from_address"),
        ({}, {"from": "a@other.example"}, 403, "validation_error"),
        ({}, {"subjects": "x"}, 400, "validation_error"),
    ]
    body: dict[str, object] = {
        "from": "a@example.com",
        "to": ["b@example.com"],
        "subject": "s",
        "text": "t",
    }
    headers = {"Authorization": "Bearer re_key", "Idempotency-Key": "once"}
    async with ResendSimulator() as vendor, aiohttp.ClientSession() as session:

        async def post(headers: dict[str, str], body: dict[str, object]) -> tuple[int, object]:
            sent = session.post(f"{vendor.url}/emails", json=body, headers=headers)
            async with sent as response:
                told = await response.json()
                return response.status, told.get("name") or told["id"]

        for other, change, status, name in wrong:
            assert await post(headers | other, body | change) == (status, name)
        assert not vendor.accepted
        first = await post(headers, dict(body))
        assert first == (200, vendor.accepted[0].id)
        assert await post(headers, dict(body)) == first
        changed = await post(headers, body | {"text": "other"})
        assert changed == (409, "invalid_idempotent_request")
        vendor.expire_keys()
        assert await post(headers, dict(body)) != first


# A mail server.


def by_server(server: MailServer, user: str = "", scheme: str = "smtp") -> Mailer:
    return Mailer.from_settings(settings(smtp_url=f"{scheme}://{user}{server.host}"))


async def test_a_mail_server_gets_the_letter() -> None:
    async with MailServer() as server:
        await by_server(server).send(LETTER)
    (received,) = server.received
    assert received.sender == "viva@example.com"
    assert received.recipients == ("grace@example.com",)
    assert received.content == LETTER.message(SENDER).as_bytes()
    assert not received.encrypted


async def test_starttls_is_used_where_it_is_offered(trusted: Certificate) -> None:
    async with MailServer(certificate=trusted) as server:
        await by_server(server).send(LETTER)
    assert server.received[0].encrypted


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
async def test_a_user_signs_in_over_tls(trusted: Certificate, scheme: str) -> None:
    async with MailServer(
        users={"viva": "s@fe:/%"}, certificate=trusted, implicit_tls=scheme == "smtps"
    ) as server:
        await by_server(server, "viva:s%40fe%3A%2F%25@", scheme).send(LETTER)
    assert (server.received[0].encrypted, server.received[0].user) == (True, "viva")


async def test_a_password_is_never_sent_in_the_clear() -> None:
    async with MailServer(users={"viva": "secret"}) as server:
        error = await trouble(by_server(server, "viva:secret@"))
    assert not server.received
    assert not error.permanent
    assert "STARTTLS" in str(error)


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
async def test_a_server_with_a_strangers_certificate_gets_nothing(
    certificate: Certificate, scheme: str
) -> None:
    async with MailServer(certificate=certificate, implicit_tls=scheme == "smtps") as server:
        error = await trouble(by_server(server, scheme=scheme))
    assert not server.received
    assert "certificate" in str(error).lower()


async def test_a_wrong_password_is_the_operators_to_mend(trusted: Certificate) -> None:
    async with MailServer(users={"viva": "right"}, certificate=trusted) as server:
        error = await trouble(by_server(server, "viva:wrong@"))
    assert not error.permanent
    assert "are the user and password in SMTP_URL right?" in str(error)
    assert "wrong" not in str(error)


@pytest.mark.parametrize(
    ("fault", "permanent", "said"),
    [
        (smtp.Fault("recipient", "450 4.2.0 Greylisted"), False, "answered 450: 4.2.0 Greylisted"),
        (smtp.Fault("recipient", "550 5.1.1 No such user"), True, "answered 550: 5.1.1 No such"),
        (smtp.Fault("sender", "550 5.7.1 Who are you?"), False, "answered 550: 5.7.1 Who"),
        (smtp.Fault("content", "452 4.3.1 Disk full"), False, "answered 452"),
        (smtp.Fault("content", "554 5.6.0 Refused"), True, "answered 554"),
        (smtp.Fault("middle"), False, "127.0.0.1:"),
        (smtp.Fault("answer"), False, "127.0.0.1:"),
    ],
)
async def test_a_servers_refusals_say_whether_to_come_back(
    fault: smtp.Fault, permanent: bool, said: str
) -> None:
    async with MailServer(faults=[fault]) as server:
        mail = by_server(server)
        error = await trouble(mail)
        assert error.permanent is permanent
        assert said in str(error)
        taken = len(server.received)
        await mail.send(LETTER)
    assert taken == (fault.at == "answer")
    assert {letter.message["Message-ID"] for letter in server.received} == {
        f"<{LETTER.digest}@example.com>"
    }


async def test_a_server_that_is_not_there_may_come_back() -> None:
    async with MailServer() as server:
        port = server.port
    error = await trouble(Mailer(Smtp("127.0.0.1", port), SENDER))
    assert not error.permanent


async def test_a_server_that_says_nothing_is_left_in_time() -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        slow = await trouble(Mailer(Smtp("127.0.0.1", port, timeout_secs=0.1), SENDER))
        slower = await trouble(Mailer(Smtp("127.0.0.1", port), SENDER, timeout_secs=0.1))
    assert not slow.permanent
    assert not slower.permanent
    assert str(slower) == f"127.0.0.1:{port} took longer than 0.1 s"


# A folder.


async def test_letters_in_the_folder_sort_by_time_and_are_their_owners(tmp_path: Path) -> None:
    mail = Mailer.from_settings(settings(data_dir=tmp_path))
    later = Letter("sign-in:../../etc/passwd", "a@example.com", "s", "t", at=LETTER.at + 0.001)
    for letter in (later, LETTER, LETTER):
        await mail.send(letter)
    files = sorted((tmp_path / "outbox").iterdir())
    assert [file.name for file in files] == [
        f"20251124T160000.250000Z-report-{LETTER.digest[:12]}.eml",
        f"20251124T160000.251000Z-sign-in-{later.digest[:12]}.eml",
    ]
    assert files[0].read_bytes() == LETTER.message(SENDER).as_bytes()
    assert stat.S_IMODE(files[0].stat().st_mode) == 0o600
    assert stat.S_IMODE(files[0].parent.stat().st_mode) == 0o700


async def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "outbox").write_text("a file, where the folder should be")
    error = await trouble(Mailer.from_settings(settings(data_dir=tmp_path)))
    assert not error.permanent
    assert f"{tmp_path / 'outbox'} cannot be written" in str(error)


async def test_a_letter_that_is_none_is_refused_for_good(tmp_path: Path) -> None:
    mail = Mailer.from_settings(settings(data_dir=tmp_path))
    error = await trouble(mail, Letter("k", "nobody", "s", "t"))
    assert error.permanent
    assert "'nobody' is not an address" in str(error)
