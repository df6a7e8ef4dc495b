"""The results database: tables, engine, migrations."""
