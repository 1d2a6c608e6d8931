"""Runs in the measured process: passes events to a function, as Lambda would.

It imports next to nothing itself, because a function that needs the same module would get it for free. Only the
standard library and what Lambda provides are on the path. Results are written to standard error as JSON; standard
output contains the function's log.

    probe.py start      the first response, then exits: the parent process reads the CPU time
    probe.py yardstick  creates boto3's client for DynamoDB, then exits
    probe.py warm       alternates many requests with the bare DynamoDB call that they make
    probe.py e-invoice  alternates invoices with and without an e-invoice in the PDF
    probe.py memory     many requests, measuring memory in between
    probe.py cost       requests on DynamoDB Local, with the cost of each
    probe.py crowd      several requests, once standard input signals that all other processes are ready
"""

import importlib
import json
import os
import sys
import time


class Context:
    """The context object that Lambda passes to a handler."""

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
    say(
        {"warm": warm, "e-invoice": e_invoice, "memory": memory, "cost": cost, "crowd": crowd}[task["mode"]](
            handler, events, task
        )
    )


def say(found):
    """Writes the result and exits at once, without interpreter shutdown."""
    sys.stdout.flush()
    os.write(2, json.dumps(found).encode())
    os._exit(0)


def ask(handler, event):
    answer = handler(event, Context())
    # A function that reads a stream has no status: it names the records that failed.
    return int(answer.get("statusCode", 500 if answer.get("batchItemFailures") else 200))


def warm(handler, events, task):
    """CPU time of a request and of the bare DynamoDB call that it makes, alternating."""
    from orders import aws

    client, asked = aws.dynamodb(), []
    client.meta.events.register(
        "provide-client-params.dynamodb", lambda params, model, **_: asked.append((model, params))
    )
    ask(handler, events[0])
    [(operation, params)] = asked
    client.meta.events.unregister("provide-client-params.dynamodb")
    # The client's name of the operation: `UpdateItem` is `update_item`.
    call = next(getattr(client, name) for name, of in client.meta.method_to_api_mapping.items() if of == operation.name)
    return alternate(task, whole=lambda: handler(events[0], Context()), bare=lambda: call(**params))


def e_invoice(handler, events, task):
    """CPU time of a request that mails an invoice with an e-invoice, and of one that mails a plain PDF, alternating."""
    from orders.mailing.shop import get_shop

    def mail(setting):
        os.environ["E_INVOICE"] = setting
        get_shop.cache_clear()
        ask(handler, events[0])

    mail("off")
    # `required` makes sure that it is one.
    return alternate(task, whole=lambda: mail("required"), bare=lambda: mail("off"))


def alternate(task, **requests):
    """CPU time of each of some requests, in blocks that alternate."""
    found = {name: [] for name in requests}
    for _ in range(task["blocks"]):
        for name, request in requests.items():
            begun = time.process_time()
            for _ in range(task["block"]):
                request()
            found[name].append((time.process_time() - begun) / task["block"])
    return found


def memory(handler, events, task):
    """Bytes in use after each tenth of the requests, and the highest resident size."""
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
    """Freed bytes that glibc keeps for later allocations (mallinfo2(3)); 0 if it does not report them."""
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
    """The cost of each event: DynamoDB calls, capacity units and CPU time of this process."""
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
    """Calls, waiting time and CPU time of some requests while other processes use the same order."""
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
