#!/usr/bin/env python3
"""Runs a command and writes how long it took, and how much memory it and its children had at most.

usage: measure.py REPORT.json COMMAND...

The memory is the largest sum of resident sets of all the command's processes, looked at twenty times a second; pages
that several of them share count once for each.
"""
import json
import pathlib
import subprocess
import sys
import threading
import time


def descendants(process):
    children = {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found = [process]
    for parent in found:
        found += children.get(parent, [])
    return found


def resident_bytes(process):
    try:
        return int(pathlib.Path(f"/proc/{process}/statm").read_text().split()[1]) * 4096
    except OSError:
        return 0


def main():
    report, *command = sys.argv[1:]
    peak, finished = 0, threading.Event()
    start = time.perf_counter()
    process = subprocess.Popen(command)

    def watch():
        nonlocal peak
        while not finished.wait(0.05):
            peak = max(peak, sum(map(resident_bytes, descendants(process.pid))))

    watcher = threading.Thread(target=watch)
    watcher.start()
    code = process.wait()
    seconds = time.perf_counter() - start
    finished.set()
    watcher.join()
    if code == 0:
        pathlib.Path(report).write_text(json.dumps(dict(seconds=seconds, peak_bytes=peak)))
    sys.exit(code)


if __name__ == "__main__":
    main()
