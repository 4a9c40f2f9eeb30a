"""Run moto for the sandbox: one port on loopback, gone when its parent is gone.

Usage: server.py PORT. The environment's MOTO_PORT is the port that moto's own
engine calls back on, which is the sandbox's front and not this server.
"""

import copy
import os
import sys
import threading
import types

# The state machine engine clones the machine of each execution with deepcopy,
# and the clone reaches the whole backend: locks, threads, other executions.
# From the second execution on that fails (moto up to 5.2.2). The engine only
# reads the clone, so a shallow copy is enough.
import moto.stepfunctions.parser.models as engine

engine.copy = types.SimpleNamespace(deepcopy=copy.copy, copy=copy.copy)

# DynamoDB's writes are atomic and moto's are not: its threads check conditions
# and write in between each other, and a cancelled transaction puts back the
# whole table as it was, with what others wrote meanwhile. One at a time, then.
from moto.dynamodb.responses import DynamoHandler  # noqa: E402

call_action = DynamoHandler.call_action
one_at_a_time = threading.Lock()


def call_action_alone(self: DynamoHandler):
    with one_at_a_time:
        return call_action(self)


DynamoHandler.call_action = call_action_alone

# moto goes by a bucket's policy and passes over its conditions, so that "deny
# what comes without TLS" denies everything. It keeps the policy and leaves the
# decision to the front, as it does for every other service.
import moto.s3.models as s3  # noqa: E402
from moto.iam.access_control import PermissionResult  # noqa: E402

s3.FakeBucket.get_permission = lambda *_: PermissionResult.NEUTRAL

from moto.server import main  # noqa: E402  (after the patches)


def exit_with_parent() -> None:
    """Wait for the end of stdin, which comes however the parent ended."""
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    threading.Thread(target=exit_with_parent, daemon=True).start()
    main(["-H", "127.0.0.1", "-p", sys.argv[1]])
