"""`python -m parley`: the command line, for processes that must run under the same Python as their parent."""

from parley.cli import main

if __name__ == "__main__":
    main()
