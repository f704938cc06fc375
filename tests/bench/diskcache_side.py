"""The side of Python's diskcache in `larder-bench -- file`.

Reads a line `OPERATION FIRST COUNT`, does that to the keys FIRST to FIRST + COUNT, and answers
with the seconds that it took by Python's own clock, without the pipe.
"""

import sys
from time import perf_counter

from diskcache import Cache

BATCH = 64


def key(number):
    return f"user:{number}"


def value(number):
    return f"{number:016x}" * 64


def look_at(found, number):
    if found != value(number):
        raise SystemExit(f"{key(number)} is not what was stored")


def run(cache, operation, numbers):
    batches = [numbers[at : at + BATCH] for at in range(0, len(numbers), BATCH)]
    values = {number: value(number) for number in numbers}
    start = perf_counter()
    if operation == "hit":
        found = [cache.get(key(number)) for number in numbers]
    elif operation == "get_many":
        found = []
        for batch in batches:
            with cache.transact():
                found.extend(cache.get(key(number)) for number in batch)
    elif operation in ("set", "overwrite"):
        for number in numbers:
            cache.set(key(number), values[number])
    elif operation == "set_many":
        for batch in batches:
            with cache.transact():
                for number in batch:
                    cache.set(key(number), values[number])
    elif operation == "delete":
        for number in numbers:
            cache.delete(key(number))
    else:
        raise SystemExit(f"unknown operation {operation}")
    took = perf_counter() - start
    if operation in ("hit", "get_many"):
        for number, one in zip(numbers, found):
            look_at(one, number)
    return took


def main():
    with Cache(sys.argv[1]) as cache:
        print("ready", flush=True)
        for line in sys.stdin:
            operation, first, count = line.split()
            numbers = list(range(int(first), int(first) + int(count)))
            print(run(cache, operation, numbers), flush=True)


main()
