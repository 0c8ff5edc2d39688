"""Payment companies, each behind the same small port."""
