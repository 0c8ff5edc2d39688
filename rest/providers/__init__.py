"""The directory of companions, and what a companion says of themselves."""
