"""``python -m personsearch`` is the same as the command ``personsearch``."""

from personsearch.cli.main import main

if __name__ == "__main__":
    main()
