#!/usr/bin/env python3
"""A long wire between two interfaces: delay, a rate, a little loss. For kernels without the netem queue.

usage: link.py INTERFACE INTERFACE
"""

import heapq
import random
import select
import socket
import sys
import time

DELAY_SECONDS = 0.004
RATE_BITS_PER_SECOND = 200e6
LOSS = 0.002
MOST_QUEUED_SECONDS = 0.05
ETH_P_ALL = 3
OUTGOING = 4


def open_interface(name):
    end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    end.bind((name, 0))
    end.setblocking(False)
    # Promiscuous: frames for the hosts at the far end are not for this interface.
    index = socket.if_nametoindex(name)
    request = index.to_bytes(4, sys.byteorder) + (1).to_bytes(2, sys.byteorder) + bytes(10)
    end.setsockopt(263, 1, request)  # SOL_PACKET, PACKET_ADD_MEMBERSHIP, PACKET_MR_PROMISC
    return end


def main():
    ends = [open_interface(name) for name in sys.argv[1:3]]
    chance = random.Random(1)
    free = [0.0, 0.0]
    queue = []
    number = 0
    while True:
        now = time.monotonic()
        while queue and queue[0][0] <= now:
            _, _, to, frame = heapq.heappop(queue)
            try:
                ends[to].send(frame)
            except OSError:
                pass
        wait = max(queue[0][0] - now, 0) if queue else 1
        # select() is coarse: the last moments are spent looking.
        ready, _, _ = select.select(ends, [], [], 0 if wait < 0.0003 else wait - 0.0002)
        for end in ready:
            while True:
                try:
                    frame, address = end.recvfrom(65536)
                except BlockingIOError:
                    break
                if address[2] == OUTGOING:
                    continue
                to = 1 - ends.index(end)
                now = time.monotonic()
                free[to] = max(free[to], now)
                if free[to] - now > MOST_QUEUED_SECONDS or chance.random() < LOSS:
                    continue
                free[to] += (len(frame) + 24) * 8 / RATE_BITS_PER_SECOND
                number += 1
                heapq.heappush(queue, (free[to] + DELAY_SECONDS, number, to, frame))


main()
