"""The entry of the command line: `polaris`, and `python -m polaris_cli`."""

import sys

from polaris_cli.commands.signals import end_with, interrupt_on_all
from polaris_cli.errors import EXIT_INTERRUPTED


def main() -> None:
    """Run the `polaris` command and exit with its code."""
    try:
        interrupt_on_all()
        _run()
    except KeyboardInterrupt:  # during an import; a command handles its own
        end_with(EXIT_INTERRUPTED)
        print("polaris: interrupted.", file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)
    except SystemExit as ended:
        end_with(ended.code if isinstance(ended.code, int) else 0)
        raise


def _run() -> None:
    from polaris_cli.commands.app import app
    from polaris_cli.commands.home import ensure_home
    from polaris_cli.commands.standard_streams import prepare_streams

    prepare_streams()
    try:
        told = ensure_home()
    except OSError as error:
        print(f"polaris: error: There is no home folder: {error}. Set HOME.", file=sys.stderr)
        sys.exit(1)
    if told:
        print(f"polaris: note: {told}", file=sys.stderr)
    app(prog_name="polaris")


if __name__ == "__main__":
    main()
