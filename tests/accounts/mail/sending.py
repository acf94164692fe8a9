"""A process that sends what is in an outbox, until its standard input ends.

``python -m tests.accounts.mail.sending DATABASE_URL MAIL_SERVER``
"""

import asyncio
import sys

from accounts.mail.letter import mailbox
from accounts.mail.mailer import Mailer
from accounts.mail.outbox import Outbox
from accounts.mail.smtp import Smtp
from ledger.store.database import Database


async def send(database_url: str, mail_server: str) -> None:
    host, _, port = mail_server.partition(":")
    database = Database.from_url(database_url)
    mail = Mailer(Smtp(host, int(port)), mailbox("Viva <viva@example.com>"))
    outbox = Outbox(database, mail, poll_secs=0.02)
    outbox.start()
    sys.stdout.write("sending\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    await outbox.close()
    database.close()


if __name__ == "__main__":
    asyncio.run(send(*sys.argv[1:]))
