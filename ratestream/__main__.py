"""`python -m ratestream`: the same as the `ratestream` command."""

from ratestream.cli import main

if __name__ == "__main__":
    main()
