#!/usr/bin/env python3
"""The clients: what people and programs on eight hosts do in half a minute. The plan is the same every time.

usage: clients.py SSH_KEY
"""

import os
import pty
import random
import socket
import struct
import subprocess
import sys
import threading
import time

SECONDS = 30
HOSTS = range(10, 18)
V4 = "192.0.2.{}"
V6 = "2001:db8:c::{}"
SHELL = "198.51.100.13"


def run(*command, seconds=30):
    subprocess.run(
        ["timeout", str(seconds), *map(str, command)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )


def dig(host, name, kind, server="198.51.100.12", port=53):
    source = V6 if ":" in server else V4
    run("dig", "+time=1", "+tries=1", "-b", source.format(host), "-p", port, f"@{server}", name, kind)


def curl(host, v6, *urls):
    source = (V6 if v6 else V4).format(host)
    run("curl", "-s", "-m", 25, "--interface", source, *[part for url in urls for part in ("-o", "/dev/null", url)])


def page(host, v6, server, port, objects):
    """Looks up the name, then fetches objects over one connection."""
    dig(host, "www.example.test" if server == 10 else "files.example.test", "AAAA" if v6 else "A")
    place = f"[2001:db8:5::{server}]" if v6 else f"198.51.100.{server}"
    curl(host, v6, *[f"http://{place}:{port}/{name}" for name in objects])


def connect(host, port, seconds=5):
    return socket.create_connection((SHELL, port), timeout=seconds, source_address=(V4.format(host), 0))


def refused(host, port):
    try:
        connect(host, port).close()
    except OSError:
        pass


def reset_by_server(host):
    with connect(host, 9001) as connection:
        connection.sendall(b"hello\r\n")
        try:
            while connection.recv(1024):
                pass
        except OSError:
            pass


def reset_by_client(host):
    with connect(host, 9002) as connection:
        connection.sendall(b"hello\r\n")
        connection.recv(1024)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def upload(host, size):
    with connect(host, 9000, 20) as connection:
        connection.sendall(b"the same line over and over again\r\n" * (size // 35))
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1024)


def idle(host, seconds):
    """A connection that says something at its beginning and at its end, with keep-alives in between."""
    with connect(host, 9002, 60) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 5)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5)
        connection.sendall(b"good morning\r\n")
        connection.recv(1024)
        time.sleep(seconds)
        connection.sendall(b"good night\r\n")
        connection.recv(1024)


def call(host, seconds):
    """A voice call's datagrams: one every 20 ms, and its echo."""
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind((V4.format(host), 0))
    datagrams.connect((SHELL, 5004))
    datagrams.setblocking(False)
    beginning = time.monotonic()
    for number in range(int(seconds * 50)):
        time.sleep(max(beginning + number * 0.02 - time.monotonic(), 0))
        datagrams.send(struct.pack(">BBHII", 0x80, 0, number, number * 160, 1) + bytes(160))
        try:
            while datagrams.recv(2048):
                pass
        except OSError:
            pass


def typing(host, key, seconds):
    """An interactive login: keys pressed one by one, with pauses."""
    fingers = random.Random(22)
    master, slave = pty.openpty()
    options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "IdentitiesOnly=yes", "LogLevel=ERROR"]
    command = ["timeout", "40", "ssh", "-tt", "-F", "none", "-b", V4.format(host), "-i", key]
    command += [part for option in options for part in ("-o", option)] + [f"root@{SHELL}"]
    shell = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
    os.close(slave)

    def read():
        try:
            while os.read(master, 65536):
                pass
        except OSError:
            pass

    threading.Thread(target=read, daemon=True).start()
    time.sleep(2)
    end = time.monotonic() + seconds
    text = "the quick brown fox jumps over the lazy dog\r"
    position = 0
    while time.monotonic() < end:
        os.write(master, text[position % len(text)].encode())
        position += 1
        time.sleep(fingers.choice([0.06, 0.08, 0.1, 0.12, 0.15, 0.2, 0.2, 0.9]))
    os.write(master, b"\r\x04")
    shell.wait()
    os.close(master)


def plan(key):
    """What happens: (second, what, arguments)."""
    dice = random.Random(7)
    weights = [3, 4, 6, 6, 5, 4, 3, 2, 1, 0.5]
    for _ in range(170):
        objects = dice.choices([f"object{number}" for number in range(10)], weights, k=dice.choice([1, 1, 1, 2, 3, 5]))
        v6 = dice.random() < 0.25
        server = dice.choice([10, 10, 10, 11])
        port = 8080 if server == 11 and not v6 and dice.random() < 0.5 else 80
        yield dice.uniform(0, SECONDS - 2), page, (dice.choice(HOSTS), v6, server, port, objects)
    yield 0.5, curl, (10, False, "http://198.51.100.10/slow/file1")
    yield 3.0, curl, (12, True, "http://[2001:db8:5::11]/slow/file2")
    yield 8.0, curl, (14, False, "http://198.51.100.11/large")
    yield 18.0, curl, (15, False, "http://198.51.100.10/large")
    for _ in range(30):
        name = dice.choice(["www", "files", "shell", "nothing"]) + ".example.test"
        server = dice.choice(["198.51.100.12", "198.51.100.12", "2001:db8:5::12"])
        yield dice.uniform(0, SECONDS - 2), dig, (dice.choice(HOSTS), name, dice.choice(["A", "AAAA"]), server)
    yield 6.0, dig, (13, "www.example.test", "A", SHELL, 53)  # nobody listens: port unreachable
    yield 16.0, dig, (16, "www.example.test", "A", SHELL, 5353)
    for _ in range(14):
        yield dice.uniform(0, SECONDS - 2), refused, (dice.choice(HOSTS), dice.choice([21, 23, 25, 110, 3389]))
    for _ in range(4):
        yield dice.uniform(0, SECONDS - 2), reset_by_server, (dice.choice(HOSTS),)
        yield dice.uniform(0, SECONDS - 2), reset_by_client, (dice.choice(HOSTS),)
    yield 10.0, upload, (11, 700_000)
    yield 20.0, upload, (17, 150_000)
    yield 1.0, idle, (16, 25)
    yield 2.0, call, (13, 15)
    yield 1.5, typing, (10, key, 20)
    yield 1.0, run, ("ping", "-n", "-c", 25, "-i", 1, "-I", "192.0.2.11", "198.51.100.10")
    yield 5.0, run, ("ping", "-n", "-c", 10, "-i", 0.5, "-I", "192.0.2.15", "198.51.100.12")
    yield 4.0, run, ("ping", "-n", "-6", "-c", 12, "-i", 1, "-I", "2001:db8:c::14", "2001:db8:5::10")
    yield 9.0, run, ("ping", "-n", "-c", 4, "-i", 1, "-s", 4000, "-I", "192.0.2.12", "198.51.100.11")
    yield 12.0, run, ("ping", "-n", "-6", "-c", 3, "-i", 1, "-s", 3000, "-I", "2001:db8:c::17", "2001:db8:5::11")
    yield 14.0, run, ("ping", "-n", "-c", 2, "-t", 1, "-I", "192.0.2.10", "198.51.100.10")  # time exceeded
    yield 7.0, run, ("curl", "-s", "-m", 5, "--interface", "192.0.2.17", "http://198.51.100.99/")  # no such host


def main():
    beginning = time.monotonic()
    threads = []
    for second, what, arguments in sorted(plan(sys.argv[1]), key=lambda entry: entry[0]):
        time.sleep(max(beginning + second - time.monotonic(), 0))
        thread = threading.Thread(target=what, args=arguments)
        thread.start()
        threads.append(thread)
    for thread in threads:
        thread.join(60)


main()
