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

# For each operation of a transaction moto copies the whole table, to put it back
# should the transaction be cancelled. Where many ask at once that is most of
# what the sandbox does, and more with every request. Only the items that a
# transaction names have to be put back; no other call comes in between.
import moto.dynamodb.models as tables  # noqa: E402

transact_write_items = tables.DynamoDBBackend.transact_write_items


def deepcopy_no_table(thing, memo=None):
    return thing if isinstance(thing, tables.Table) else copy.deepcopy(thing, memo)


def transact_and_put_back(self, transact_items):
    before = []
    for operation in transact_items:
        named = next(iter(operation.values()))
        table = self.tables.get(named.get("TableName"))
        attributes = named.get("Key") or named.get("Item")
        if table is None or not attributes:
            continue  # moto refuses it
        keys = self.get_keys_value(table, attributes)
        before.append((table, keys, copy.deepcopy(table.get_item(*keys))))
    try:
        return transact_write_items(self, transact_items)
    except Exception:
        for table, (hash_key, range_key), item in before:
            if item is None:
                table.delete_item(hash_key, range_key)
            elif range_key is None:
                table.items[hash_key] = item
            else:
                table.items[hash_key][range_key] = item
        raise


tables.copy = types.SimpleNamespace(deepcopy=deepcopy_no_table, copy=copy.copy)
tables.DynamoDBBackend.transact_write_items = transact_and_put_back

# moto goes by a bucket's policy and passes over its conditions, so that "deny
# what comes without TLS" denies everything. It keeps the policy and leaves the
# decision to the front, as it does for every other service.
import moto.s3.models as s3  # noqa: E402
from moto.iam.access_control import PermissionResult  # noqa: E402

s3.FakeBucket.get_permission = lambda *_: PermissionResult.NEUTRAL

# moto hands a topic's message to a function in Docker. The front runs functions:
# it is called as SNS calls Lambda, without waiting for what comes of it.
import datetime  # noqa: E402
import json  # noqa: E402

import boto3  # noqa: E402
import moto.sns.models as sns  # noqa: E402

publish = sns.Subscription.publish


def publish_to_functions(
    self, message, message_id, subject=None, message_attributes=None, **other
):
    if self.protocol != "lambda":
        return publish(self, message, message_id, subject, message_attributes, **other)
    matcher = self._filter_policy_matcher
    if matcher is not None and not matcher.matches(message_attributes, message):
        return None
    now = datetime.datetime.now(datetime.timezone.utc)
    event = {
        "EventSource": "aws:sns",
        "EventVersion": "1.0",
        "EventSubscriptionArn": self.arn,
        "Sns": {
            "Type": "Notification",
            "MessageId": message_id,
            "TopicArn": self.topic_arn,
            "Subject": subject,
            "Message": message,
            "Timestamp": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "MessageAttributes": {
                name: {"Type": value["Type"], "Value": value["Value"]}
                for name, value in (message_attributes or {}).items()
            },
        },
    }
    return boto3.client(
        "lambda",
        endpoint_url=f"http://localhost:{os.environ['MOTO_PORT']}",
        region_name=self.endpoint.split(":")[3],
        aws_access_key_id="sns",
        aws_secret_access_key="sns",
    ).invoke(
        FunctionName=self.endpoint,
        InvocationType="Event",
        Payload=json.dumps({"Records": [event]}),
    )


sns.Subscription.publish = publish_to_functions

from moto.server import main  # noqa: E402  (after the patches)


def exit_with_parent() -> None:
    """Wait for the end of stdin, which comes however the parent ended."""
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    threading.Thread(target=exit_with_parent, daemon=True).start()
    main(["-H", "127.0.0.1", "-p", sys.argv[1]])
