"""`python -m newel`: the command line where the `newel` command is not on the path."""

from newel.cli import main

if __name__ == "__main__":
    main()
