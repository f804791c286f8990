"""`python evaluate.py --help` says what it takes; the logic is in src/dgreid/run."""

from dgreid.evaluate import main

if __name__ == "__main__":
    main()
