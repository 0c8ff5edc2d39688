"""One function per command. `table.py` says which type goes to which."""
