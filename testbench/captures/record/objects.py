#!/usr/bin/env python3
"""Writes the objects the web servers offer: text that repeats itself.

usage: objects.py DIRECTORY
"""

import pathlib
import sys

TEXT = b"".join(
    b"%04d  This object was made for a capture of example traffic. Its text says nothing and repeats itself.\r\n" % line
    for line in range(40)
)


def write(path, size):
    path.write_bytes((TEXT * (size // len(TEXT) + 1))[:size])


root = pathlib.Path(sys.argv[1])
for number, size in enumerate([400, 1_100, 2_500, 4_000, 9_000, 15_000, 24_000, 40_000, 90_000, 180_000]):
    write(root / f"object{number}", size)
write(root / "slow" / "file1", 2_400_000)
write(root / "slow" / "file2", 1_500_000)
write(root / "large", 1_200_000)
