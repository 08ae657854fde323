"""A provider that does not exist, as a newcomer would add it: `pigeon.py` is its one file, `samples` are its samples, `pigeon.md` its page (`test_new_provider.py`)."""
