"""Everything live: sockets, calls and the meter that runs beside them."""
