"""Write the next version: what :mod:`ledger.store.tables` adds to the newest version."""

import sys
import tempfile
from pathlib import Path

from alembic import command
from sqlalchemy import create_engine

from ledger.store.migrations import config, upgrade

if len(sys.argv) != 2:
    sys.exit('usage: python -m ledger.store.migrations "what changes"')
message = sys.argv[1]
with tempfile.TemporaryDirectory() as folder:
    engine = create_engine(f"sqlite:///{Path(folder) / 'viva.db'}")
    upgrade(engine)
    with engine.connect() as connection:
        settings = config(connection)
        number = 1 + len(list(Path(__file__).parent.glob("versions/v*.py")))
        settings.set_main_option("file_template", "v%%(rev)s_%%(slug)s")
        command.revision(settings, message, autogenerate=True, rev_id=f"{number:04}")
