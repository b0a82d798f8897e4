"""Workbooks (Office Open XML), read as a stream of rows with every cell as its sheet shows it."""
