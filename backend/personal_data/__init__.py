"""Personal data in texts: found by patterns whose checksums hold, and put under pseudonyms."""
