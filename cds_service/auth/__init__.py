"""Client authentication: who calls, proven by a signed token (JWT) and the issuer's public keys.

parse.py takes a token apart, claims.py holds what it says against the site file, jwks.py and keys.py find the key,
replay.py remembers which tokens were used, tokens.py does it all in order.
"""
