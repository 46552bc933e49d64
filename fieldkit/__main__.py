"""``python -m fieldkit`` is the command line."""

from __future__ import annotations


def main() -> None:
    """Run the command line."""
    from fieldkit.cli import main as run

    run()


if __name__ == "__main__":
    main()
