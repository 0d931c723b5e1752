"""`python -m app` is the `sidelight` command."""

from app.cli import cli

if __name__ == "__main__":
    cli(prog_name="sidelight")
