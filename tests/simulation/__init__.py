"""Many users and calls on a virtual clock with a model ledger; one seed reproduces a run."""
