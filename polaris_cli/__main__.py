"""The entry of the command line: `polaris`, and `python -m polaris_cli`."""

from polaris_cli.commands.app import app


def main() -> None:
    """Run the `polaris` command and exit with its code."""
    app(prog_name="polaris")


if __name__ == "__main__":
    main()
