"""`python -m tfyolo` is the `tfyolo` command."""

from tfyolo.cli.main import entry

if __name__ == "__main__":
    entry()
