"""Files become typed blocks of text, in a separate process that a hostile file may crash but not leave.

The service uses `sandbox.parse_file`. Nothing here imports the rest of the service, and nothing is imported
before it is needed, because every file pays for the start of its own process.
"""
