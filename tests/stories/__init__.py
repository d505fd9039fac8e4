"""Golden pairs: a whole hook request and the whole answer to it, driven through HTTP."""
