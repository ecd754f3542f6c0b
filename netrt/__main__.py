"""`python -m netrt` is the command line."""

from netrt.cli.main import main

if __name__ == "__main__":
    main()
