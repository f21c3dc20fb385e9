"""Cases of HTTP/2, by the sections of the RFCs. Each module adds its own to `kinds.CASES`."""
