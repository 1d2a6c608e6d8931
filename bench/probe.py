"""Runs in the process that is measured: a function as Lambda has it, asked by its file of events.

Loads next to nothing itself: what it loads would be free for whoever needs it. Nothing but the standard library and
what Lambda would have is on the path. Says what it found as JSON on standard error; standard output has the function's
log.

    probe.py start      the first answer, then ends: whoever started it looks at the processor's time
    probe.py yardstick  makes boto3's client for DynamoDB, then ends
    probe.py warm       answers many times, and makes DynamoDB's part of that as a bare call in between
    probe.py memory     answers many times, and looks at its memory
    probe.py cost       answers once on DynamoDB Local, and says what that cost there
    probe.py crowd      answers some times, once it is told on standard input that all others are ready, too
"""

import importlib
import json
import os
import sys
import time


class Context:
    """What Lambda tells a function about its invocation."""

    function_name = "function"
    function_version = "1"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:function"
    aws_request_id = "00000000-0000-0000-0000-000000000000"

    def get_remaining_time_in_millis(self):
        return 10_000


def main():
    task = json.loads(sys.argv[1])
    sys.path[:0] = task["path"]
    if task["mode"] == "yardstick":
        import boto3

        boto3.client("dynamodb")
        say({})
    module, _, name = task["handler"].rpartition(".")
    handler = getattr(importlib.import_module(module), name)
    events = task["events"]
    if task["mode"] == "start":
        say({"status": ask(handler, events[0])})
    say({"warm": warm, "memory": memory, "cost": cost, "crowd": crowd}[task["mode"]](handler, events, task))


def say(found):
    """Ends the process, without what would come after the answer."""
    sys.stdout.flush()
    os.write(2, json.dumps(found).encode())
    os._exit(0)


def ask(handler, event):
    answer = handler(event, Context())
    return int(answer["statusCode"])


def warm(handler, events, task):
    """The processor's time of a request, and of the bare call of DynamoDB that it makes, in turns."""
    from orders import aws

    client, asked = aws.dynamodb(), []
    client.meta.events.register(
        "provide-client-params.dynamodb", lambda params, model, **_: asked.append((model, params))
    )
    ask(handler, events[0])
    [(operation, params)] = asked
    client.meta.events.unregister("provide-client-params.dynamodb")
    # By its name in the client: `UpdateItem` is `update_item`.
    call = next(getattr(client, name) for name, of in client.meta.method_to_api_mapping.items() if of == operation.name)
    whole, bare = [], []
    for _ in range(task["blocks"]):
        for what, times in ((lambda: handler(events[0], Context()), whole), (lambda: call(**params), bare)):
            begun = time.process_time()
            for _ in range(task["block"]):
                what()
            times.append((time.process_time() - begun) / task["block"])
    return {"whole": whole, "bare": bare}


def memory(handler, events, task):
    """Bytes in use after each part of the requests, and the most that were ever resident."""
    import gc
    import resource

    used = []
    for n in range(task["requests"]):
        handler(events[n % len(events)], Context())
        if (n + 1) % (task["requests"] // 10) == 0:
            gc.collect()
            with open("/proc/self/statm") as file:
                used.append(int(file.read().split()[1]) * resource.getpagesize() - kept_free())
    return {"used": used, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


def kept_free():
    """Bytes that were freed, and that glibc keeps for whoever asks next (mallinfo2(3)); 0 where it does not say."""
    import ctypes

    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallinfo2"):
        return 0
    names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    libc.mallinfo2.restype = type(
        "Mallinfo2", (ctypes.Structure,), {"_fields_": [(name, ctypes.c_size_t) for name in names.split()]}
    )
    return libc.mallinfo2().fordblks


def cost(handler, events, task):
    """What each event costs: calls of DynamoDB, its capacity units, and the processor's time here."""
    from orders import aws

    client, used = aws.dynamodb(), []

    def ask_for_it(params, model, **_):
        params["ReturnConsumedCapacity"] = "TOTAL"

    client.meta.events.register("provide-client-params.dynamodb", ask_for_it)
    client.meta.events.register("after-call.dynamodb", lambda parsed, model, **_: used.append((model.name, parsed)))
    found = []
    for event in events:
        used.clear()
        begun = time.process_time()
        status = ask(handler, event)
        spent = time.process_time() - begun
        units = {"read": 0.0, "write": 0.0}
        for operation, parsed in used:
            told = parsed.get("ConsumedCapacity") or {}
            kind = "read" if operation in {"GetItem", "BatchGetItem", "Query"} else "write"
            units[kind] += sum(each["CapacityUnits"] for each in (told if isinstance(told, list) else [told]) if each)
        found.append({"status": status, "calls": [operation for operation, _ in used], "cpu": spent, **units})
    return {"found": found}


def crowd(handler, events, task):
    """Calls, units and the processor's time of some requests, while other processes ask for the same order."""
    from orders import aws

    ask(handler, task["first"])
    os.write(2, b"\n")
    sys.stdin.readline()
    begun, waits = time.process_time(), []
    told = []
    client = aws.dynamodb()
    client.meta.events.register("before-call.dynamodb", lambda **_: told.append(1))
    statuses = []
    for event in events:
        at = time.perf_counter()
        statuses.append(ask(handler, event))
        waits.append(time.perf_counter() - at)
    spent = time.process_time() - begun
    return {
        "statuses": statuses,
        "calls": len(told) / len(events),
        "cpu": spent / len(events),
        "wait": sorted(waits)[len(waits) // 2],
    }


if __name__ == "__main__":
    main()
