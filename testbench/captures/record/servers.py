#!/usr/bin/env python3
"""The odd servers: one that swallows uploads, one that resets, one that keeps a conversation, one that echoes UDP."""

import socket
import struct
import threading

ADDRESS = "198.51.100.13"


def listen(port, serve):
    listener = socket.create_server((ADDRESS, port), backlog=64)

    def accept():
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=guarded, args=(serve, connection), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()


def guarded(serve, connection):
    try:
        with connection:
            serve(connection)
    except OSError:
        pass


def swallow(connection):
    """Reads everything, then says how much it was."""
    total = 0
    while data := connection.recv(65536):
        total += len(data)
    connection.sendall(b"%d bytes\r\n" % total)


def reset(connection):
    """Answers once and closes with a reset."""
    connection.recv(1024)
    connection.sendall(b"no more\r\n")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def converse(connection):
    """Answers every line."""
    while data := connection.recv(4096):
        connection.sendall(b"heard %d bytes\r\n" % len(data))


def echo_datagrams():
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind((ADDRESS, 5004))
    while True:
        data, sender = datagrams.recvfrom(65536)
        datagrams.sendto(data, sender)


listen(9000, swallow)
listen(9001, reset)
listen(9002, converse)
echo_datagrams()
