"""Money in: payments, their gateways and the one function that settles them."""
